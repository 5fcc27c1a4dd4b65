"""Registration proven on the history of diffusers: what each commit registered, put back and registered again.

    python tools/pull_requests.py CLONE --since 2024-01-01     every commit since then that registered what it defines
    python tools/pull_requests.py CLONE 39e1f7eaa4 04717fd861   only these

The state is the tree of a commit with the registries that it edited as they were before it, and without placeholders in
new modules. What `register` makes of it is compared with what the commit registered, in every required registry: module,
backend group, section, key of the mapping. Looked at is what the commit defines, in files that it added or changed. What
is missing may be named by a notice, with the reason. A second run must change nothing. Needs a clone with history, which is only read.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scaffold_model.audit.history import texts_at
from scaffold_model.checkout import git
from scaffold_model.registration import register
from scaffold_model.registries import REGISTRIES, dummy_objects
from scaffold_model.registries.base import ROOT
from scaffold_model.registries.pages import DOCS
from scaffold_model.snapshot import Snapshot
from scaffold_model.stale import registry_paths
from scaffold_model.trials import entries_of

_DEFINITION = re.compile(r"^(?:class|def) (\w+)", re.MULTILINE)
#: Registry, file, object, key, value and backends.
Fact = tuple[str, str, str, str, str, tuple[str, ...]]


@dataclass
class Case:
    """What came of one commit.

    Attributes:
        commit: Its abbreviated hash.
        subject: Its title.
        wanted: What it registered of what it defines.
        missing: What of that `register` did not, or otherwise.
        noticed: Those of the missing that a notice names.
        extra: What `register` added and the commit did not.
        repeated: The files that a second run would change.
        same: The registry files that come out as in the commit, byte for byte.
        edited: The registry files that the commit edited, or that hold placeholders and are new with it.
    """

    commit: str
    subject: str
    wanted: set[Fact] = field(default_factory=set)
    missing: list[Fact] = field(default_factory=list)
    noticed: list[Fact] = field(default_factory=list)
    extra: list[Fact] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    same: int = 0
    edited: int = 0


def commits(clone: Path, since: str) -> list[str]:
    """The commits that touched what is exported, the newest first."""
    return git(clone, "log", f"--since={since}", "--no-merges", "--format=%H", "--", f"{ROOT}/__init__.py").split()


def replay(tree: Path, commit: str) -> Case | None:
    """Put the registries of a commit back, and register again; None where the commit registered nothing that it defines.

    Args:
        tree: A clone whose work tree is overwritten.
        commit: The commit.
    """
    git(tree, "checkout", "--quiet", "--force", "--detach", commit)
    rows = git(tree, "diff", "--name-status", "--no-renames", "HEAD^", "HEAD").splitlines()
    changed = {path: state for state, path in (row.split("\t") for row in rows)}
    wanted = Snapshot(tree)
    places = {path for registry in REGISTRIES for path in registry_paths(registry, wanted)}
    past = texts_at(tree, "HEAD^", [path for path, state in changed.items() if state == "M"])
    texts = {path: text for path, text in past.items() if path in places}
    # Placeholders are generated, so those of a new backend are not there either; other new registries are new code.
    gone = [path for path, state in changed.items() if state == "A" and dummy_objects.is_path(path)]
    edited = {path: wanted.read(path) for path in (*texts, *gone)}
    defined, listed = set(_defined(changed, wanted, past)), _facts(wanted)
    for path in gone:
        (tree / path).unlink()
    before = Snapshot(tree, texts)
    had = _facts(before)
    case = Case(commit[:10], git(tree, "log", "-1", "--format=%s"))
    case.wanted = {fact for fact in listed - had if _names(fact) & defined}
    if not case.wanted:
        return None
    plan = register(before)
    made = before.overlaid(plan.overlay())
    added = _facts(made) - had
    told = " ".join(plan.notices)
    for fact in sorted(case.wanted - added):
        noticed = any(re.search(rf"\b{re.escape(name)}\b", told) for name in _names(fact))
        (case.noticed if noticed else case.missing).append(fact)
    case.extra = sorted(added - (listed - had))
    case.repeated = [edit.path for edit in register(made).edits]
    case.edited = len(edited)
    case.same = sum(made.read(path) == text for path, text in edited.items())
    return case


def _defined(changed: Mapping[str, str], now: Snapshot, past: Mapping[str, str]) -> Iterator[str]:
    """The names that the commit brought: classes and functions of its modules, and its pages."""
    for path, state in changed.items():
        if state == "A" and path.startswith(f"{DOCS}/"):
            yield path.removeprefix(f"{DOCS}/").removesuffix(".md")
        elif path.startswith(f"{ROOT}/") and path.endswith(".py") and "/utils/" not in path and state != "D":
            names = set(_DEFINITION.findall(now.read(path) or ""))
            yield from names - set(_DEFINITION.findall(past.get(path, "")))


def _facts(snapshot: Snapshot) -> set[Fact]:
    """All that the required registries list."""
    return {(*fact[:5], tuple(sorted(fact[5]))) for fact in entries_of(snapshot, None, REGISTRIES)}


def _names(fact: Fact) -> set[str]:
    """The object, and what its value names: a key of the mapping of modular pipelines stands for a class."""
    return {fact[2], *re.findall(r"\w+", fact[4])}


def shown(facts: Iterable[Fact]) -> Iterator[str]:
    """Facts as lines."""
    for registry, path, name, key, value, backends in facts:
        parts = (f"{registry}: {name}", key, value, " and ".join(backends), f"in {path}")
        yield ", ".join(part for part in parts if part)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay commits and show what differs; 1 when a second run would change something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path)
    parser.add_argument("commit", nargs="*")
    parser.add_argument("--since", default="2024-01-01")
    options = parser.parse_args(arguments)
    found: list[Case] = []
    with tempfile.TemporaryDirectory(prefix="scaffold-model-history-") as folder:
        tree = Path(folder) / "diffusers"
        subprocess.run(
            ["git", "clone", "--quiet", "--shared", "--no-checkout", str(options.clone), str(tree)], check=True
        )
        for commit in options.commit or commits(options.clone, options.since):
            case = replay(tree, commit)
            if case is None:
                continue
            found.append(case)
            print(
                f"{case.commit} {case.subject[:60]:60} {len(case.wanted):3} registered, {len(case.missing)} missing, "
                f"{len(case.noticed)} noticed, {len(case.extra)} extra, {case.same} of {case.edited} files same",
                flush=True,
            )
            for label in ("missing", "noticed", "extra"):
                for line in shown(getattr(case, label)):
                    print(f"    {label} {line}")
            for path in case.repeated:
                print(f"    a second run would change {path}")
    sums = {
        label: sum(len(getattr(case, label)) for case in found) for label in ("wanted", "missing", "noticed", "extra")
    }
    print(
        f"{len(found)} commits: {sums['wanted']} registered, {sums['missing']} missing, {sums['noticed']} noticed, "
        f"{sums['extra']} extra; {sum(case.same for case in found)} of {sum(case.edited for case in found)} files same"
    )
    return 1 if any(case.repeated for case in found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
