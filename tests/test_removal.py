"""Taking a model out again: what was there before is there again, byte for byte, and nothing of the contributor's is lost."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import git_status, load_tool, run_command

from scaffold_model.code.definitions import references, remove_definition
from scaffold_model.snapshot import Snapshot

MODULAR_INIT = "src/diffusers/modular_pipelines/__init__.py"
DECODERS = "src/diffusers/modular_pipelines/foo/decoders.py"

CELLS = {
    "modular": ["--modular"],
    "standard": ["--standard", "--lora", "--auto-pipeline", "--attention", "cross"],
    "both": ["--both", "--lora", "--auto-pipeline", "--scheduler", "new", "--class-prefix", "FOO9", "--title", "F"],
}


def run(cwd: Path, *arguments: str, code: int = 0) -> str:
    done = run_command(*arguments, cwd=cwd)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def head_text(root: Path, path: str) -> bytes:
    return subprocess.run(["git", "-C", str(root), "show", f"HEAD:{path}"], capture_output=True, check=True).stdout


@pytest.mark.checkout
@pytest.mark.parametrize("cell", CELLS)
def test_add_and_remove_is_a_clean_tree(checkout: Path, cell: str) -> None:
    run(checkout, "--name", "foo", *CELLS[cell], "-y")
    planned = run(checkout, "remove", "foo", "--dry-run", "--json")
    made = git_status(checkout)
    result = json.loads(run(checkout, "remove", "foo", "--json"))
    assert json.loads(planned) == {**result, "status": "planned"}
    assert made != ""
    assert result["status"] == "applied"
    assert ".scaffold/foo/parity.py" in result["removed"]
    assert git_status(checkout) == ""
    assert not (checkout / "src/diffusers/modular_pipelines/foo").exists()


@pytest.mark.checkout
def test_remove_works_after_other_models_were_added_and_with_windows_line_ends(checkout: Path) -> None:
    init = checkout / MODULAR_INIT
    run(checkout, "--name", "foo_edit", "-y")
    without = {path: (checkout / path).read_bytes() for path in changed(checkout)}
    run(checkout, "remove", "foo_edit")
    run(checkout, "--name", "foo", "--lora", "-y")
    run(checkout, "--name", "foo_edit", "-y")
    init.write_bytes(init.read_bytes().replace(b"\n", b"\r\n"))
    run(checkout, "remove", "foo")
    without[MODULAR_INIT] = without[MODULAR_INIT].replace(b"\n", b"\r\n")
    assert {path: (checkout / path).read_bytes() for path in changed(checkout)} == without
    assert (checkout / ".scaffold/foo_edit/manifest.json").exists()


def changed(root: Path) -> list[str]:
    return [line[3:] for line in git_status(root).splitlines() if "/foo_edit/" not in line and line[:2] == " M"]


@pytest.mark.checkout
def test_edited_files_stay_and_are_named_unless_forced(checkout: Path) -> None:
    run(checkout, "--name", "foo", "-y")
    edits = {DECODERS: b"# mine\n", ".scaffold/foo/parity.py": b"# my harness\n"}
    for path, text in edits.items():
        (checkout / path).write_bytes(text)
    (checkout / "src/diffusers/modular_pipelines/foo/notes.txt").write_bytes(b"notes\n")
    result = json.loads(run(checkout, "remove", "foo", "--json"))
    assert result["notices"] == [
        f"{path} was edited and stays; --force removes it too"
        for path in (".scaffold/foo/parity.py", DECODERS, "src/diffusers/modular_pipelines/foo/notes.txt")
    ]
    assert {path: (checkout / path).read_bytes() for path in edits} == edits
    assert "src/diffusers/models/transformers/transformer_foo.py" in result["removed"]
    assert "FooModularPipeline" not in (checkout / MODULAR_INIT).read_text()
    assert sorted(path.name for path in (checkout / ".scaffold/foo").iterdir()) == [
        "answers.yml",
        "manifest.json",
        "parity.py",
        "tiny.py",
    ]
    run(checkout, "remove", "foo", "--force")
    assert git_status(checkout) == ""


@pytest.mark.checkout
def test_a_model_that_was_never_scaffolded_goes_by_discovery(checkout: Path) -> None:
    result = json.loads(run(checkout, "remove", "consisid", "--json"))
    assert "src/diffusers/pipelines/consisid/consisid_utils.py" in result["removed"]
    assert "docs/source/en/api/pipelines/consisid.md" in result["removed"]
    texts = [(checkout / path).read_text() for path in ("src/diffusers/__init__.py", "docs/source/en/_toctree.yml")]
    assert not any("ConsisID" in text or "api/pipelines/consisid" in text for text in texts)
    # A guide mentions it still, which is no entry of a registry; nothing else is wrong.
    findings = json.loads(run_command("check", "--baseline", "HEAD", "--json", cwd=checkout).stdout)["findings"]
    assert [finding for finding in findings if finding["severity"] == "error"] == []
    subprocess.run(["git", "-C", str(checkout), "checkout", "--quiet", "."], check=True)
    extra = checkout / "src/diffusers/pipelines/consisid/extra.py"
    extra.write_text("mine = 1\n")
    assert "extra.py was edited and stays" in run(checkout, "remove", "consisid")
    assert extra.exists()


@pytest.mark.checkout
def test_what_others_use_is_refused_and_nothing_is_written(checkout: Path) -> None:
    line = run(checkout, "remove", "flux", code=2)
    assert line.startswith("scaffold-model: flux is used elsewhere: ")
    assert "only the registrations with `scaffold-model unregister flux`" in line
    assert "there is no model named fluxx here; did you mean flux" in run(checkout, "unregister", "fluxx", code=2)
    assert "no optional registry is called nope" in run(checkout, "unregister", "flux", "--also", "nope", code=2)
    assert git_status(checkout) == ""


@pytest.mark.checkout
def test_unregister_and_register_again_in_a_scaffold_give_the_same_bytes(checkout: Path) -> None:
    run(checkout, "--name", "foo", "--both", "--lora", "-y")
    files = {path: path.read_bytes() for path in (checkout / "src").rglob("*.py")}
    manifest = (checkout / ".scaffold/foo/manifest.json").read_bytes()
    out = json.loads(run(checkout, "unregister", "foo", "--json"))
    assert out["removed"] == []
    assert "docs/source/en/api/loaders/lora.md still lists FooLoraLoaderMixin" in out["notices"][0]
    assert out["next_steps"] == ["scaffold-model register   # registers it again"]
    assert files != {path: path.read_bytes() for path in files}
    run(checkout, "register")
    assert files == {path: path.read_bytes() for path in files}
    assert manifest == (checkout / ".scaffold/foo/manifest.json").read_bytes()


@pytest.mark.checkout
def test_families_of_diffusers_have_their_registrations_back(pristine: Path) -> None:
    tool = load_tool("round_trip")
    snapshot = Snapshot(pristine)
    assert len(tool.families(snapshot)) > 80
    families = ("z_image", "ddim", "ledits_pp", "shap_e", "stable_cascade", "stable_diffusion")
    trips = {family: tool.round_trip(snapshot, family) for family in families}
    assert [(trip.family, trip.lost, trip.gained, trip.refused) for trip in trips.values()] == [
        (family, [], [], "") for family in families
    ]
    kept = {family: " ".join(trip.kept) for family, trip in trips.items()}
    assert all(trips[family].entries > 10 and trips[family].same for family in families if family != "shap_e")
    # The group of a lone pipeline without a guard of its own package, and a class that no rule finds.
    assert "DDIMPipeline, DiscreteDDIMSchedulerOutput" in kept["ddim"]
    # An output that the package leaves out counts as new as soon as nothing that uses it is registered.
    assert "; without it `register` would list MeshDecoderOutput otherwise than now" in kept["shap_e"]
    assert trips["shap_e"].entries > 5
    # One half of the root lists it, and `register` lists what is new in both.
    assert "StableCascadeUNet" in kept["stable_cascade"]
    # The last name of a suite keeps the suite, and one pipeline shows the group of all.
    assert "OnnxStableDiffusionPipeline" in kept["stable_diffusion"]
    assert trips["stable_diffusion"].entries > 40


SOURCE = '''\
"""Doc."""

import torch


# What it is.
@torch.no_grad()
def one():
    return "Two"


class Two(One): ...


THREE = {"a": 1}
'''


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("one", '\n\n# What it is.\n@torch.no_grad()\ndef one():\n    return "Two"\n'),
        ("Two", "\n\nclass Two(One): ...\n"),
        ("THREE", '\n\nTHREE = {"a": 1}\n'),
        ("nothing", ""),
    ],
)
def test_a_definition_goes_with_its_comment_and_the_lines_above(name: str, gone: str) -> None:
    assert gone in SOURCE
    assert remove_definition(SOURCE, name) == SOURCE.replace(gone, "", 1)


def test_references_are_names_attributes_imports_and_whole_strings() -> None:
    assert references(SOURCE, {"One", "Two", "no_grad", "Doc"}) == {"no_grad": 7, "Two": 9, "One": 12}
    assert references(SOURCE, {"T", "hree"}) == {}
