"""Registration proven on releases: the sources of a release with the registries of the one before it.

    python tools/releases.py 0.38.0 0.39.0 0.40.0        every neighbouring pair

For each name that the newer release exports at its root and the older one does not, and that a class in a module that
`register` looks at defines: is it registered, in every registry and in the backend group of the real release? What is
left must be named by a notice. A second run must change nothing, and nothing may be registered that the release does
not have. Names that are defined elsewhere (image processors, helpers of the library) are counted and shown.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaffold_model.conventions import detect
from scaffold_model.discovery import discover
from scaffold_model.practice import lay_out, wheel_cache, wheel_of
from scaffold_model.registries import REGISTRIES, Listed, Registry, dummy_objects
from scaffold_model.registries.base import ROOT
from scaffold_model.scanning import Scanner
from scaffold_model.snapshot import Snapshot
from scaffold_model.stale import registry_paths

_DEFINITION = re.compile(r"^(?:class|def) (\w+)", re.MULTILINE)


@dataclass
class Pair:
    """What came of one pair of releases.

    Attributes:
        older: The release whose registries are used.
        newer: The release whose sources are used.
        additions: Names new at the root that a class in reach of `register` defines.
        registered: Those of them that are listed in every registry, with the right group, as in the release.
        noticed: Those that a notice names, with its reason.
        missing: Those that neither is true of.
        wrong: Entries in another group, or under another key, than in the release.
        extra: Names that were registered at the root and that the release does not have there.
        promoted: Names new at the root whose class the older release has too, and keeps to itself on purpose.
        outside: Names new at the root that are defined where `register` does not look.
        repeated: What a second run changed.
    """

    older: str
    newer: str
    additions: list[str] = field(default_factory=list)
    registered: list[str] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    promoted: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether every addition is registered or explained, in the right place, and nothing else is."""
        return not (self.missing or self.wrong or self.extra or self.repeated)


def _unpacked(version: str, folder: Path) -> Path:
    wheel, _ = wheel_of(wheel_cache(), version, lambda _: None)
    root = folder / version
    root.mkdir()
    lay_out(wheel, root)
    return root


def _lists(snapshot: Snapshot) -> set[str]:
    """The modules that list what others define."""
    return {path for registry in REGISTRIES for path in registry_paths(registry, snapshot)}


def _run(root: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "scaffold_model", "register", "--checkout", str(root), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"register ended with {done.returncode}: {done.stdout}{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def compare(older: str, newer: str) -> Pair:
    """Register the additions of ``newer`` in the registries of ``older``, and compare with those of ``newer``."""
    pair = Pair(older, newer)
    with tempfile.TemporaryDirectory(prefix="scaffold-model-releases-") as name:
        folder = Path(name)
        before, wanted = _unpacked(older, folder), _unpacked(newer, folder)
        (folder / "made").mkdir()
        made = _unpacked(newer, folder / "made")
        known = _lists(Snapshot(before))
        for path in _lists(Snapshot(made)):
            if path in known:
                (made / path).write_bytes((before / path).read_bytes())
            elif dummy_objects.is_path(path):
                # What nobody writes by hand; other new lists are those of new packages.
                (made / path).unlink()
        subprocess.run(["git", "-C", str(made), "init", "--quiet"], check=True)
        notices = _run(made)["notices"]
        pair.repeated = [edit["path"] for edit in _run(made)["edited"]]
        judge(pair, Snapshot(before), Snapshot(wanted), Snapshot(made), notices)
    return pair


def judge(pair: Pair, before: Snapshot, wanted: Snapshot, made: Snapshot, notices: Sequence[str]) -> None:
    """Fill ``pair`` in from the older release, the newer one, and what registration made of the two."""
    old, new, now = (set(Scanner(snapshot).root) for snapshot in (before, wanted, made))
    # What a registry defines itself, as the base classes of blocks, has gone with it.
    sites, stood = _defined(made), _defined(before)
    added = sorted(name for name in new - old if not name.startswith(("is_", "dummy_")))
    pair.additions = [name for name in added if name in sites and name not in stood]
    pair.promoted = [name for name in added if name in sites and name in stood]
    pair.outside = [name for name in added if name not in sites]
    pair.extra = sorted(now - old - new)
    told = " ".join(notices).replace(",", " ").split()
    for name in [*pair.additions, *pair.promoted]:
        if name in now:
            pair.registered.append(name)
        elif name in told:
            pair.noticed.append(name)
        elif name in pair.additions:
            pair.missing.append(name)
    pair.wrong = sorted(_differences(wanted, made, set(pair.registered)))


def _defined(snapshot: Snapshot) -> set[str]:
    """The classes and functions in reach of `register`."""
    names = set(Scanner(snapshot).sites)
    for area in ("hooks", "guiders", "quantizers"):
        for path in snapshot.walk(f"{ROOT}/{area}"):
            names.update(_DEFINITION.findall(snapshot.read(path) or ""))
    return names


def _differences(wanted: Snapshot, made: Snapshot, names: set[str]) -> Iterator[str]:
    """What the registries say of ``names`` otherwise than in the release, each registry at all places where it lists them."""
    conventions = detect(wanted)
    exports = [export for export in discover(made).exports if export.name in names]
    # What the root has already is no export of its own, where the rules only tell what it lacks.
    others = names - {export.name for export in exports}
    for registry in REGISTRIES:
        entries = [entry for export in exports for entry in registry.entries(export, conventions, wanted)]
        objects = {entry.object for entry in entries} | others
        for path in sorted({entry.path for entry in entries} | set(registry_paths(registry, wanted))):
            real, ours = ({_facts(item) for item in _listed(registry, one, path)} for one in (wanted, made))
            for fact in sorted(real ^ ours, key=repr):
                if fact[0] in objects:
                    yield f"{registry.NAME}: {'lacks' if fact in real else 'has'} {fact} in {path}"


def _listed(registry: Registry, snapshot: Snapshot, path: str) -> list[Listed]:
    return registry.listed(snapshot.read(path) or "")


def _facts(item: Listed) -> tuple[str, str | tuple[str, ...], str, tuple[str, ...]]:
    """Everything about a listed object but its line."""
    return item.object, item.key, item.value, tuple(sorted(item.backends))


def main(versions: Sequence[str]) -> int:
    """Compare neighbours and show them; 1 when something is not right."""
    if len(versions) < 2:
        raise SystemExit(__doc__)
    pairs = [compare(older, newer) for older, newer in itertools.pairwise(versions)]
    for pair in pairs:
        print(
            f"{pair.older} -> {pair.newer}: {len(pair.additions)} additions, {len(pair.registered)} registered, "
            f"{len(pair.noticed)} noticed, {len(pair.missing)} missing, {len(pair.wrong)} wrong, {len(pair.extra)} extra, "
            f"{len(pair.outside)} defined elsewhere"
        )
        for label in ("noticed", "missing", "wrong", "extra", "promoted", "outside", "repeated"):
            if names := getattr(pair, label):
                print(f"  {label}: {', '.join(names)}")
    return 0 if all(pair.is_right for pair in pairs) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
