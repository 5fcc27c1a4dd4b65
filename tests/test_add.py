"""More of a scaffold: as if it had been asked for at once, with all edits kept."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import clone_of, git_status, run_command

from scaffold_model.adding.request import Request, changed_answers
from scaffold_model.errors import BadInput
from scaffold_model.spec import ModelSpec

TRANSFORMER = "src/diffusers/models/transformers/transformer_foo.py"
PIPELINE = "src/diffusers/pipelines/foo/pipeline_foo.py"
SCRIPT = "scripts/convert_foo_to_diffusers.py"

#: What is there, what is added, and the flags that lead to the same at once.
KINDS = {
    "tasks": ("", "--task inpaint --task i2i", "--task t2i --task i2i --task inpaint"),
    "a task of a standard pipeline": ("--standard", "--task i2i", "--standard --task t2i --task i2i"),
    "lora": ("--both", "--lora", "--both --lora"),
    "single file": ("--standard", "--single-file --hub-repo org/foo", "--standard --single-file --hub-repo org/foo"),
    "auto pipeline": ("--both", "--auto-pipeline", "--both --auto-pipeline"),
    "scheduler": ("", "--scheduler new", "--scheduler new"),
    "vae": ("--modality video", "--vae new", "--modality video --vae new"),
    "standard": ("", "--standard", "--both"),
    "modular": ("--standard", "--modular", "--both"),
    "much at once": (
        "",
        "--standard --auto-pipeline --lora --task i2i",
        "--both --auto-pipeline --lora --task t2i --task i2i",
    ),
}


def run(checkout: Path, *arguments: str, code: int = 0) -> str:
    done = run_command(*arguments, cwd=checkout)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code == 2 else done.stdout


def change(checkout: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(run(checkout, *arguments, "--json", code=code))
    return shown


def tree(checkout: Path) -> str:
    """Everything that git sees, as one hash."""
    subprocess.run(["git", "-C", str(checkout), "add", "-A"], check=True)
    done = subprocess.run(["git", "-C", str(checkout), "write-tree"], check=True, capture_output=True, text=True)
    return done.stdout


def state(checkout: Path) -> dict[str, str]:
    folder = checkout / ".scaffold"
    return {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}


@pytest.mark.checkout
@pytest.mark.parametrize("kind", KINDS)
def test_adding_is_as_asking_at_once(checkout: Path, kind: str) -> None:
    base, added, whole = (flags.split() for flags in KINDS[kind])
    untouched = tree(checkout)
    run(checkout, "--name", "foo", *whole, "-y")
    wanted, record = tree(checkout), state(checkout)
    run(checkout, "remove", "foo")
    assert tree(checkout) == untouched

    run(checkout, "--name", "foo", *base, "-y")
    shown = change(checkout, "add", "foo", *added, "-y")
    assert (shown["status"], shown["conflicts"]) == ("applied", [])
    assert tree(checkout) == wanted
    assert state(checkout) == record
    assert change(checkout, "add", "foo", *added)["status"] == "unchanged"
    assert change(checkout, "add", "foo", *added)["next_steps"] == []
    assert {each["severity"] for each in change(checkout, "check", "foo")["findings"]} == {"hint"}
    assert "up to date" in run(checkout, "update", "foo")
    run(checkout, "remove", "foo")
    assert tree(checkout) == untouched
    assert state(checkout) == {}


@pytest.mark.checkout
def test_edits_are_kept_and_conflicts_are_shown_as_git_shows_them(checkout: Path) -> None:
    run(checkout, "--name", "foo", "--standard", "-y")
    mine = {
        TRANSFORMER: ("num_layers: int = 24", "num_layers: int = 28"),
        PIPELINE: ("class FooPipeline(DiffusionPipeline)", "# My class.\nclass FooPipeline(DiffusionPipeline)"),
        SCRIPT: ("\nimport argparse\n", "\n# Mine too.\nimport argparse\n"),
    }
    for path, (old, new) in mine.items():
        text = (checkout / path).read_text(encoding="utf-8")
        assert old in text
        (checkout / path).write_text(text.replace(old, new, 1), encoding="utf-8")
    (checkout / "tests/models/transformers/test_models_transformer_foo.py").unlink()
    planned = run(checkout, "add", "foo", "--task", "i2i", "--dry-run")
    assert "+++ b/src/diffusers/pipelines/foo/pipeline_foo_img2img.py\n" in planned
    assert not (checkout / "src/diffusers/pipelines/foo/pipeline_foo_img2img.py").exists()
    shown = change(checkout, "add", "foo", "--task", "i2i")
    assert shown["conflicts"] == []
    assert shown["created"] == [
        "src/diffusers/pipelines/foo/pipeline_foo_img2img.py",
        "tests/pipelines/foo/test_pipeline_foo_img2img.py",
    ]
    assert not (checkout / "tests/models/transformers/test_models_transformer_foo.py").exists()
    for path, (_, new) in mine.items():
        assert new in (checkout / path).read_text(encoding="utf-8")

    # The class line is where the mixin goes, and it is the contributor's by now.
    text = (checkout / PIPELINE).read_text(encoding="utf-8")
    text = text.replace("class FooPipeline(DiffusionPipeline)", "class FooPipeline(DiffusionPipeline, MyMixin)")
    (checkout / PIPELINE).write_text(text, encoding="utf-8")
    shown = change(checkout, "add", "foo", "--lora", code=1)
    assert shown["conflicts"] == [PIPELINE]
    assert shown["notices"] == ["settle the conflicts, then run `scaffold-model add foo --lora`"]
    text = (checkout / PIPELINE).read_text(encoding="utf-8")
    conflict = (
        "<<<<<<< yours\n# My class.\nclass FooPipeline(DiffusionPipeline, MyMixin):\n"
        "=======\nclass FooPipeline(DiffusionPipeline, FooLoraLoaderMixin):\n>>>>>>> scaffold with --lora\n"
    )
    assert conflict in text
    assert "FooLoraLoaderMixin" not in (checkout / "src/diffusers/loaders/__init__.py").read_text(encoding="utf-8")
    settled = "# My class.\nclass FooPipeline(DiffusionPipeline, FooLoraLoaderMixin, MyMixin):\n"
    (checkout / PIPELINE).write_text(text.replace(conflict, settled), encoding="utf-8")
    shown = change(checkout, "add", "foo", "--lora")
    assert (shown["status"], shown["conflicts"]) == ("applied", [])
    assert "FooLoraLoaderMixin" in (checkout / "src/diffusers/loaders/__init__.py").read_text(encoding="utf-8")
    assert change(checkout, "add", "foo", "--lora")["status"] == "unchanged"


@pytest.mark.checkout
def test_what_makes_no_sense_is_refused_with_its_reason(checkout: Path) -> None:
    run(checkout, "--name", "foo", "-y")
    before = git_status(checkout)
    for arguments, line in (
        (["foo"], "nothing to add; give --task, --lora, --single-file or another flag"),
        (
            ["foo", "--auto-pipeline"],
            "--auto-pipeline yes: needs a standard pipeline class; choose format standard or",
        ),
        (
            ["foo", "--single-file"],
            "--single-file yes: needs --hub-repo, where the configuration of a checkpoint is looked up",
        ),
        (["foo", "--task", "t2v"], "--task t2i t2v: belongs to another --modality"),
        (["foo", "--with-test"], "--with-test goes with --lora; give both, or neither"),
        (["foo", "--scheduler", "Euler"], "'Euler' is not 'new'"),
        (["bar", "--lora"], "there is no model named bar here"),
        (
            ["flux", "--task", "i2i"],
            "--task i2i writes files by the answers of a scaffold, and flux has none; `scaffold-model adopt flux`",
        ),
        (
            ["wuerstchen", "--lora"],
            "no pipeline of wuerstchen takes a transformer, which is where LoRA layers are loaded",
        ),
        (["ltx2", "--single-file", "--standard"], "--standard writes files by the answers of a scaffold"),
        (["minimax_h3", "--auto-pipeline"], "--auto-pipeline: needs a standard pipeline class"),
    ):
        assert line in run(checkout, "add", *arguments, code=2)
        assert json.loads(run_command("add", *arguments, "--json", cwd=checkout).stdout)["status"] == "refused"
    assert git_status(checkout) == before


@pytest.mark.checkout
def test_the_lora_test_comes_with_the_models_own_pull_request_merged(checkout: Path) -> None:
    untouched = tree(checkout)
    run(checkout, "--name", "foo", "--both", "-y")
    shown = change(checkout, "add", "foo", "--lora")
    assert shown["notices"] == [
        "the LoRA test comes after the model's first pull request: `scaffold-model add foo --lora --with-test` then, or "
        "now all the same"
    ]
    shown = change(checkout, "add", "foo", "--lora", "--with-test")
    assert [edit["path"] for edit in shown["edited"]] == [
        "tests/pipelines/foo/test_pipeline_foo.py",
        "tests/models/transformers/test_models_transformer_foo.py",
        ".scaffold/foo/manifest.json",
    ]
    assert change(checkout, "add", "foo", "--lora", "--with-test")["status"] == "unchanged"
    test = (checkout / "tests/pipelines/foo/test_pipeline_foo.py").read_text(encoding="utf-8")
    assert test.endswith(
        'class TestFooPipelineLoRA(FooPipelineTesterConfig, LoraTesterMixin):\n    """LoRA tests for the Foo pipeline."""\n'
        "\n\nclass TestFooPipelineLoRAMemory(FooPipelineTesterConfig, LoraMemoryTesterMixin):\n"
        '    """LoRA tests with offloading and layerwise casting for the Foo pipeline."""\n'
    )
    run(checkout, "remove", "foo")
    assert tree(checkout) == untouched

    # Where the model is in the base, nothing has to be asked for.
    run(checkout, "--name", "foo", "-y")
    subprocess.run(["git", "-C", str(checkout), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(checkout), "commit", "-qm", "Add foo"], check=True)
    for name in ("main", "HEAD"):
        command = ["git", "-C", str(checkout), "update-ref", f"refs/remotes/origin/{name}", "HEAD"]
        subprocess.run(command, check=True)
    shown = change(checkout, "add", "foo", "--lora")
    assert shown["created"] == ["tests/lora/test_lora_layers_foo.py"]
    assert shown["notices"] == []
    assert {each["severity"] for each in change(checkout, "check", "foo")["findings"]} == {"hint"}
    run(checkout, "remove", "foo")
    assert tree(checkout) == untouched


@pytest.mark.checkout
def test_an_update_goes_on_after_an_addition(pristine: Path, tmp_path: Path) -> None:
    from test_update import Template

    checkout = clone_of(pristine, tmp_path / "diffusers")
    template = Template(tmp_path / "clone")
    template.run(checkout, "--name", "foo", "-y")
    template.run(checkout, "add", "foo", "--lora", "--standard")
    template.change(
        "src/diffusers/models/transformers/transformer_*", ("num_layers: int = 24", "num_layers: int = 28")
    )
    # An addition stays with the version that the scaffold has; an update comes by its own command.
    template.run(checkout, "add", "foo", "--task", "i2i")
    assert "num_layers: int = 24" in (checkout / TRANSFORMER).read_text(encoding="utf-8")
    shown = json.loads(template.run(checkout, "update", "foo", "--json"))["updates"][0]
    assert (shown["conflicts"], shown["edited"][0]["path"]) == ([], TRANSFORMER)
    text = (checkout / TRANSFORMER).read_text(encoding="utf-8")
    assert "num_layers: int = 28" in text
    assert "PeftAdapterMixin" in text


@pytest.mark.checkout
@pytest.mark.torch
def test_what_was_added_to_edited_files_passes_the_gates(checkout: Path, torch_python: str) -> None:
    run(checkout, "--name", "foo", "-y")
    text = (checkout / TRANSFORMER).read_text(encoding="utf-8")
    (checkout / TRANSFORMER).write_text(text.replace("num_layers: int = 24", "num_layers: int = 28"), encoding="utf-8")
    run(checkout, "add", "foo", "--task", "i2i", "--lora", "--with-test")
    done = run_command("verify", "foo", "--python", torch_python, "--json", cwd=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    gates = {gate["name"]: gate for gate in json.loads(done.stdout)["gates"]}
    assert {gate["status"] for gate in gates.values()} == {"passed"}
    assert gates["tests/lora/test_lora_layers_foo.py"]["passed"] == 2


def test_what_follows_from_an_answer_that_changes_is_looked_up_again() -> None:
    answers = ModelSpec("foo", vae="AutoencoderKLFlux2", vae_tiny="a=1", scheduler_arguments="b=2").answers()
    changed = changed_answers(answers, Request(vae="new", tasks=("inpaint", "t2i"), formats=("standard",)))
    assert not {"vae_tiny", "vae_statistics"} & changed.keys()
    assert (changed["vae"], changed["scheduler_arguments"], changed["format"]) == ("new", "b=2", "both")
    assert ModelSpec.from_answers(changed).task == ("t2i", "inpaint")
    assert changed_answers(answers, Request(formats=("modular",)))["format"] == "modular"


def test_flags_are_named_as_they_are_typed() -> None:
    request = Request(tasks=("i2i",), lora=True, single_file=True, auto_pipeline=True, vae="new", formats=("modular",))
    assert request.flags == ("--task i2i", "--modular", "--lora", "--single-file", "--auto-pipeline", "--vae new")
    assert request.needs_answers == ("--task i2i", "--modular", "--vae new")
    with pytest.raises(BadInput, match="needs a standard pipeline class"):
        ModelSpec.from_answers(changed_answers(ModelSpec("foo").answers(), Request(auto_pipeline=True)))
