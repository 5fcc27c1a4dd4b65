"""A newer template for a scaffold that is there: a three-way merge of its own files, and its registrations anew.

The base is what the old version of the template makes of the stored answers, finished like any render: filled from the
checkout as it is now, and formatted. Where nothing was edited, base and file are the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .errors import CopySourceError
from .manifest import Manifest, fingerprint, manifest_path
from .plan import Edit, NewFile, Plan, RemovedFile
from .scaffold import extend_and_register, finished, formatted
from .snapshot import Snapshot
from .spec import ModelSpec

#: The three texts of a file -> the merged one, and whether it holds conflicts.
Merge = Callable[[str, str, str], tuple[str, bool]]


@dataclass(frozen=True)
class Updated:
    """What an update does.

    Attributes:
        plan: The change.
        conflicts: Files with conflicts in them, for the contributor to settle.
    """

    plan: Plan
    conflicts: tuple[str, ...]


def finish_both(
    snapshot: Snapshot,
    old: ModelSpec,
    base: Mapping[str, str],
    new: ModelSpec,
    theirs: Mapping[str, str],
    ruff: str | None,
) -> tuple[dict[str, str], dict[str, str]]:
    """Both renders, filled and formatted alike.

    A block whose source is gone from the checkout stays a stub in both, so that the contributor's text of it stays.
    """
    texts: list[dict[str, str]] = []
    for spec, files in ((old, base), (new, theirs)):
        own = {path: text for path, text in files.items() if path.endswith(".py") or spec.owns(path)}
        try:
            done = finished(spec, snapshot, own, ruff)
        except CopySourceError:
            return tuple(  # type: ignore[return-value]
                {**render, **formatted(each, _own(each, render), ruff)}
                for each, render in ((old, base), (new, theirs))
            )
        texts.append({**files, **done})
    return texts[0], texts[1]


def _own(spec: ModelSpec, files: Mapping[str, str]) -> dict[str, str]:
    return {path: text for path, text in files.items() if path.endswith(".py") or spec.owns(path)}


def update(
    snapshot: Snapshot,
    spec: ModelSpec,
    manifest: Manifest,
    base: Mapping[str, str],
    theirs: Mapping[str, str],
    merge: Merge,
    ruff: str | None,
    *,
    settle: str = "scaffold-model register",
) -> Updated:
    """The plan that brings a scaffold from the render ``base`` to the render ``theirs``.

    Edits are kept, deleted files stay deleted, and a file that the template has dropped goes when it was not edited.

    Args:
        snapshot: The checkout.
        spec: The answers that ``theirs`` was made of.
        manifest: What the scaffold wrote.
        base: The old render, finished.
        theirs: The new render, finished.
        merge: Merges the contributor's text, the base and the new text.
        ruff: The formatter, or None for our own.
        settle: The command that finishes what conflicts keep from being done.
    """
    answers = f"{spec.state_folder}/answers.yml"
    edits, created, removed, conflicts, notices = [], [], [], [], []
    for path in sorted({*base, *theirs} - {answers}):
        mine, old, new = snapshot.read(path), base.get(path), theirs.get(path)
        if mine is None:
            if old is None and new is not None:
                created.append(NewFile(path, new))
            continue
        plain = mine.replace("\r\n", "\n")
        if new is None:
            if _is_unedited(plain, path, old, manifest):
                removed.append(RemovedFile(path, mine))
            else:
                notices.append(f"{path} is no part of the template any more; it was edited and stays")
            continue
        merged, conflict = (new, False) if _is_unedited(plain, path, old, manifest) else merge(plain, old or "", new)
        if merged != plain:
            edits.append(Edit(path, mine, merged.replace("\n", "\r\n") if plain != mine else merged))
        if conflict:
            conflicts.append(path)
    plan = Plan(tuple(created), tuple(edits), tuple(removed), notices=tuple(notices))
    if conflicts:
        # What has markers in it can not be read, let alone registered.
        notices.append(f"settle the conflicts, then run `{settle}`")
        plan = replace(plan, notices=tuple(notices))
    else:
        plan = replace(extend_and_register(spec, snapshot, plan, ruff), next_steps=())
    if plan or theirs[answers] != snapshot.read(answers):
        plan = _with_state(plan, snapshot, spec, manifest, theirs)
    return Updated(plan, tuple(conflicts))


def _is_unedited(text: str, path: str, old: str | None, manifest: Manifest) -> bool:
    return text == old or manifest.created.get(path) == fingerprint(text)


def _with_state(
    plan: Plan, snapshot: Snapshot, spec: ModelSpec, manifest: Manifest, theirs: Mapping[str, str]
) -> Plan:
    """The plan with the new answers and a manifest that remembers the new render as what the scaffold wrote."""
    answers = f"{spec.state_folder}/answers.yml"
    gone = {removed.path for removed in plan.removed}
    manifest = replace(
        manifest,
        created={path: value for path, value in manifest.created.items() if path not in gone},
        edited={path: list(entries) for path, entries in manifest.edited.items()},
    )
    manifest.record_created({path: text for path, text in theirs.items() if path != answers})
    manifest.record_entries(plan.entries)
    written = ((answers, theirs[answers]), (manifest_path(spec.name), manifest.text()))
    edits = [Edit(path, before, text) for path, text in written if (before := snapshot.read(path) or "") != text]
    return replace(plan, edits=(*plan.edits, *edits))
