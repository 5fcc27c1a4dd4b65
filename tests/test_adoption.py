"""A record that is gone is rebuilt from the model's files, and updates go on from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import git_status, run_command

from scaffold_model.adoption import adopt, detect_answers
from scaffold_model.errors import BadInput
from scaffold_model.manifest import Manifest
from scaffold_model.snapshot import Snapshot
from scaffold_model.spec import ModelSpec

CELLS = {
    "modular": ["--modular", "--text-encoder", "qwen3", "--tiny-repo", "me/tiny-foo"],
    "standard": ["--standard", "--attention", "cross", "--text-encoder", "clip", "--hub-repo", "org/foo-1.0"],
    "both": [
        "--both",
        "--lora",
        "--auto-pipeline",
        "--scheduler",
        "new",
        "--class-prefix",
        "FOO9",
        "--title",
        "FOO 9",
    ],
}


@pytest.mark.checkout
@pytest.mark.parametrize("cell", CELLS)
def test_the_answers_are_read_from_the_files(checkout: Path, cell: str) -> None:
    assert run_command("--name", "foo", *CELLS[cell], "-y", cwd=checkout).returncode == 0
    state = checkout / ".scaffold/foo"
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    decoder = next(checkout.glob("src/diffusers/*pipelines/foo/*.py"))
    shutil.rmtree(checkout / ".scaffold")
    made = git_status(checkout)
    done = run_command("adopt", "foo", "--json", cwd=checkout)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["created"] == [
        f".scaffold/foo/{name}" for name in ("answers.yml", "parity.py", "tiny.py", "manifest.json")
    ]
    count = len([path for path in json.loads(before["manifest.json"])["created"] if not path.startswith(".scaffold/")])
    assert told["notices"][0] == f"{count} of {count} files are as the template makes them; the others count as edited"
    assert "reference is taken to be nothing: only the parity harness knew it" in told["notices"]
    after = {path.name: path.read_bytes() for path in state.iterdir()}
    assert yaml.safe_load(after["answers.yml"]) == yaml.safe_load(before["answers.yml"])
    # What was registered is found by looking, so it need not be in the manifest.
    assert json.loads(after["manifest.json"])["created"] == json.loads(before["manifest.json"])["created"]
    assert [line for line in git_status(checkout).splitlines() if ".scaffold/" not in line] == made.splitlines()
    assert "foo has its record" in run_command("adopt", "foo", cwd=checkout).stderr
    assert (
        json.loads(run_command("update", "foo", "--check", "--json", cwd=checkout).stdout)["updates"][0]["name"]
        == "foo"
    )

    # Without its manifest alone the stored answers are taken, and edits are seen as such.
    decoder.write_text(decoder.read_text() + "# Mine.\n")
    (state / "manifest.json").unlink()
    told = json.loads(run_command("adopt", "foo", "--json", cwd=checkout).stdout)
    assert told["created"] == [".scaffold/foo/manifest.json"]
    assert told["notices"][0].startswith(f"{count - 1} of {count} files are as the template makes them")
    left = json.loads(run_command("remove", "foo", "--json", cwd=checkout).stdout)
    assert left["notices"] == [f"{decoder.relative_to(checkout)} was edited and stays; --force removes it too"]


TRANSFORMER = "src/diffusers/models/transformers/transformer_foo.py"
SOURCES = {
    TRANSFORMER: "# Copyright 2025 X\nclass FOOTransformer3DModel(ModelMixin, FromOriginalModelMixin):\n"
    "    def forward(\n        self,\n        hidden_states,\n        guidance: torch.Tensor,\n    ):\n        pass\n",
    "src/diffusers/pipelines/foo/pipeline_foo_video2video.py": "class FOOVideoToVideoPipeline:\n"
    "    def __init__(\n        self,\n        vae: AutoencoderKLFOO,\n        scheduler: FOOScheduler,\n    ):\n        pass\n",
}


def test_what_is_seen_and_what_is_not() -> None:
    seen = detect_answers(Snapshot(None, SOURCES), "foo")
    assert seen.answers == {
        "name": "foo",
        "class_prefix": "FOO",
        "modality": "video",
        "format": "standard",
        "lora": "no",
        "single_file": "yes",
        "auto_pipeline": "no",
        "task": ("v2v",),
        "vae": "new",
        "scheduler": "new",
        "guidance": "embedded",
        "year": "2025",
    }
    assert list(seen.unseen) == ["attention", "text_encoder", "reference"]


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (TRANSFORMER, "no transformer of foo is here"),
        ("src/diffusers/pipelines/foo/pipeline_foo_video2video.py", "no pipeline"),
    ],
)
def test_what_is_no_scaffold_is_refused(gone: str, message: str) -> None:
    sources = {path: text for path, text in SOURCES.items() if path != gone}
    with pytest.raises(BadInput, match=message):
        detect_answers(Snapshot(None, sources), "foo")
    with pytest.raises(BadInput, match="must be a snake_case identifier"):
        detect_answers(Snapshot(None, SOURCES), "../foo")


def test_answers_that_do_not_lead_to_the_files_are_refused() -> None:
    spec = ModelSpec("foo")
    rendered = {TRANSFORMER: "", "scripts/convert_foo_to_diffusers.py": "", "docs/source/en/api/pipelines/foo.md": ""}
    with pytest.raises(BadInput, match="2 of the 3 files that these answers lead to are not here"):
        adopt(Snapshot(None, SOURCES), spec, Manifest("", None), rendered)


@pytest.mark.checkout
def test_an_answer_that_is_no_assignment_is_refused(checkout: Path) -> None:
    done = run_command("adopt", "foo", "--set", "attention", "--json", cwd=checkout)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"] == "--set 'attention' is no QUESTION=ANSWER"
