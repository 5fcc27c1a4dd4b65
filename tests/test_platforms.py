"""Other systems: checkouts with the line ends of Windows, names that Windows and macOS can not have side by side."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest
from conftest import run_command

from scaffold_model.checkout import Head
from scaffold_model.errors import BadInput
from scaffold_model.plan import Plan
from scaffold_model.preflight import check_spec, fitted_spec
from scaffold_model.render import render
from scaffold_model.scaffold import create
from scaffold_model.snapshot import Snapshot
from scaffold_model.spec import ModelSpec

STAND = Head("0" * 40, "2026", "main")
EVERYTHING = {
    "name": "y_image",
    "format": "both",
    "task": ["t2i", "i2i", "inpaint"],
    "vae": "new",
    "scheduler": "new",
    "lora": "yes",
    "single_file": "yes",
    "auto_pipeline": "yes",
    "hub_repo": "org/y-image",
}


def plan_in(snapshot: Snapshot) -> Plan:
    spec = fitted_spec(EVERYTHING, snapshot, STAND)
    return create(spec, snapshot, STAND, render(spec.answers()), None)


@pytest.fixture(scope="module")
def plan(pinned: Path) -> Plan:
    return plan_in(Snapshot(pinned))


@pytest.mark.checkout
def test_files_with_the_line_ends_of_windows_keep_them(plan: Plan, pinned: Path) -> None:
    """Every registry and every module that a scaffold extends, as git checks them out with `core.autocrlf`."""
    crlf = {edit.path: edit.before.replace("\n", "\r\n") for edit in plan.edits}
    assert len(crlf) >= 12
    found = plan_in(Snapshot(pinned, crlf))
    assert {edit.path: edit.after for edit in found.edits} == {
        edit.path: edit.after.replace("\n", "\r\n") for edit in plan.edits
    }


@pytest.mark.checkout
def test_every_path_is_one_on_every_system(plan: Plan, pinned: Path) -> None:
    made = [new.path for new in plan.new_files]
    for path in made:
        parts = path.split("/")
        assert list(PureWindowsPath(path).parts) == parts
        assert not any(set('<>:"\\|?*') & set(part) or part.endswith((".", " ")) for part in parts)
    # No two of them, and none of them and a file of the checkout, differ by upper and lower case alone.
    folders = {path.rpartition("/")[0] for path in made}
    snapshot = Snapshot(pinned)
    present = [f"{folder}/{name}" for folder in folders for name in snapshot.files(folder)]
    together = [*made, *present]
    assert len({path.casefold() for path in together}) == len(together)


@pytest.mark.parametrize("name", ["con", "aux", "nul", "com1", "lpt9"])
def test_devices_of_windows_are_no_names(name: str) -> None:
    with pytest.raises(BadInput, match="is a device on Windows"):
        ModelSpec(name)


@pytest.mark.parametrize(
    "other",
    [
        "src/diffusers/models/transformers/transformer_FOO.py",
        "src/diffusers/pipelines/Foo/__init__.py",
        "docs/source/en/api/pipelines/FOO.md",
    ],
)
def test_a_name_in_other_letters_is_taken(other: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_spec(ModelSpec("foo"), Snapshot(None, {other: ""}))
    assert "by upper and lower case alone" in refused.value.line
    assert refused.value.line.startswith(other.removesuffix("/__init__.py") + ": differs from ")


@pytest.mark.checkout
def test_a_refused_device_changes_nothing(checkout: Path) -> None:
    done = run_command("--name", "aux", cwd=checkout)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "scaffold-model: --name aux is a device on Windows, where no folder can be called so; choose another name\n"
    )
