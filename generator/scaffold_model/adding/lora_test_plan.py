"""When the LoRA test is written, and what a scaffold's record says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..audit.history import branch
from ..checkout import head
from ..manifest import manifest_path, read_manifest
from ..plan import Edit, NewFile, Plan, Registered, merge_plans
from ..removal import LORA_TEST
from ..snapshot import Snapshot
from .found import Found
from .lora_support import edit, formatted, plain
from .lora_tests import lora_tests


def add_lora_test(root: Path, snapshot: Snapshot, found: Found, ruff: str | None, *, anyway: bool) -> Plan:
    """The plan for the LoRA test, or a notice that says why there is none.

    A model's first pull request leaves it out, unless it is asked for ``anyway``.

    Args:
        root: The checkout.
        snapshot: Its files, with the mixin.
        found: The model.
        ruff: The formatter, or None for our own.
        anyway: Write it although the model itself is not in the base.
    """
    added = branch(root, snapshot)
    if not anyway and added is not None and found.model.path in added.added:
        command = f"scaffold-model add {found.name} --lora --with-test"
        notice = f"the LoRA test comes after the model's first pull request: `{command}` then, or now all the same"
        return Plan(notices=(notice,))
    tests = lora_tests(snapshot, found, head(root).year)
    before = {path: plain(snapshot.read(path) or "") for path in tests.files}
    texts = {**tests.files, **formatted(snapshot, before, tests.files, ruff)}
    new = tuple(NewFile(path, text) for path, text in texts.items() if not snapshot.exists(path))
    edits = tuple(edit(snapshot, path, text) for path, text in texts.items() if snapshot.exists(path))
    entries = tuple(Registered(LORA_TEST, name, path) for path, names in tests.classes.items() for name in names)
    notices = (f"no LoRA test of the pipeline was written: {tests.missing}",) if tests.missing else ()
    return Plan(new_files=new, edits=edits, entries=entries, notices=notices)


def recorded(snapshot: Snapshot, name: str, plan: Plan, test: Plan) -> Plan:
    """The plan of a scaffold with that of its LoRA test, and with a manifest that knows of both."""
    whole = merge_plans(plan, replace(test, next_steps=()))
    manifest = read_manifest(snapshot.overlaid(plan.overlay()), name)
    if manifest is None or not test:
        return whole
    manifest.record_created({new.path: new.text for new in test.new_files})
    manifest.record_entries(test.entries)
    path = manifest_path(name)
    others = tuple(each for each in whole.edits if each.path != path)
    return replace(whole, edits=(*others, Edit(path, snapshot.read(path) or "", manifest.text())))
