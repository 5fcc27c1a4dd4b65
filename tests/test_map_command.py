"""`map` from the command line: what it refuses, what it writes, and that the script converts real files."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import QUICKLY, ROOT, clone_of, git_status, run_command

CHECKS = ROOT / "tests" / "map_checks.py"


def run_checks(python: str, checkout: Path, *arguments: str) -> None:
    done = subprocess.run(
        [python, "-c", QUICKLY, str(CHECKS), *arguments],
        env={**os.environ, "PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]


@pytest.fixture(scope="module")
def original(torch_python: str, pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    run_checks(torch_python, pristine, "original", str(folder))
    return folder


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# What is refused


REFUSED = {
    "nothing": ([], "--out is missing; name the script to write with --out SCRIPT"),
    "no weights": (["--out", "c.py"], "--weights is missing; name the original checkpoint with --weights SOURCE"),
    "no class": (
        ["--out", "c.py", "--weights", "w.pt"],
        "--against and --config are missing; name the model with --against CLASS and its configuration with --config FILE",
    ),
    "no config": (
        ["--out", "c.py", "--harness", "h.py", "--against", "Foo"],
        "--config is missing; name the model with --against CLASS and its configuration with --config FILE",
    ),
    "no such file": (
        ["--out", "c.py", "--weights", "w.pt", "--against", "Foo", "--config", "config.json"],
        "w.pt: is not there; --weights names a file",
    ),
    "no such folder": (
        ["--out", "no/c.py", "--harness", "h.py"],
        "no/c.py: its folder is not there; make the folder first",
    ),
    "no Python file": (
        ["--out", "c.txt", "--harness", "h.py"],
        "c.txt: is no name of a Python file; let --out end with .py",
    ),
    "an existing script": (
        ["--out", "there.py", "--harness", "h.py"],
        "there.py: is there already; write over it with --force, or name another with --out",
    ),
    "both": (
        ["--out", "c.py", "--harness", "h.py", "--names-only"],
        "--names-only and --harness exclude each other; give one of them",
    ),
}


@pytest.mark.torch
@pytest.mark.checkout
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, torch_python: str, pristine: Path, tmp_path: Path) -> None:
    arguments, message = REFUSED[case]
    for name in ("h.py", "there.py"):
        (tmp_path / name).write_text("")
    options = ("--checkout", str(pristine), "--python", torch_python)
    done = run_command("map", *arguments, *options, cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"scaffold-model: {message}")
    assert files(tmp_path) == {"h.py", "there.py"}


@pytest.mark.torch
@pytest.mark.checkout
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "NoSuchModel"], "diffusers has no class NoSuchModel; give the class with --against"),
        (["--against", "WanTransformer3DModel"], "is the configuration of FluxTransformer2DModel, not of"),
        (["--weights", "cut.safetensors"], "cut.safetensors: can not be read: it is truncated: "),
        (["--config", "list.json"], "list.json: holds no JSON object"),
        (["--harness", "empty.py"], "empty.py: lacks build_reference, build_target, make_inputs"),
    ],
)
def test_what_only_the_other_python_sees(
    arguments: list[str], message: str, torch_python: str, pristine: Path, original: Path, tmp_path: Path
) -> None:
    (tmp_path / "cut.safetensors").write_bytes((original / "model.safetensors").read_bytes()[:-9])
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "empty.py").write_text("")
    before = files(tmp_path)
    given = {
        "--weights": str(original / "model.safetensors"),
        "--against": "FluxTransformer2DModel",
        "--config": str(original / "config.json"),
        "--out": "c.py",
        "--checkout": str(pristine),
        "--python": torch_python,
    }
    given.update(zip(arguments[::2], arguments[1::2], strict=True))
    done = run_command("map", *(word for pair in given.items() for word in pair), "--json", cwd=tmp_path)
    refused = json.loads(done.stdout)
    assert (done.returncode, refused["status"]) == (2, "refused")
    error = refused["error"]
    assert message in f"{error['path']}: {error['message']}; {error['hint']}"
    assert files(tmp_path) == before


# Without a harness


@pytest.fixture(scope="module")
def by_names(torch_python: str, pristine: Path, original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script by names and shapes alone."""
    script = tmp_path_factory.mktemp("script") / "convert.py"
    done = run_command(
        *("map", "--weights", str(original / "model.safetensors"), "--against", "FluxTransformer2DModel"),
        *("--config", str(original / "config.json"), "--out", str(script), "--json"),
        *("--checkout", str(pristine), "--python", torch_python),
        cwd=script.parent,
    )
    assert done.returncode == 1, done.stderr
    (script.parent / "map.json").write_text(done.stdout)
    return script


def convert(python: str, checkout: Path, script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, str(script), *arguments],
        env={**os.environ, "PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.torch
@pytest.mark.checkout
def test_names_and_shapes_find_everything_and_say_what_is_open(by_names: Path) -> None:
    found = json.loads((by_names.parent / "map.json").read_text())
    assert found["status"] == "open"
    assert (found["coverage"]["missing"], found["coverage"]["unused"], found["coverage"]["partly_used"]) == (
        [],
        [],
        {},
    )
    tied = {target["target"] for target in found["targets"] if target["ties"]}
    # The order of an adaptive norm's halves, and of the parts of a layer whose name does not tell them.
    assert {"norm_out.linear.weight", "norm_out.linear.bias"} <= tied
    assert {target.split(".")[0] for target in tied} == {"norm_out", "single_transformer_blocks"}
    text = by_names.read_text()
    assert text.count("# TODO: a tie, ") == found["coverage"]["ties"]
    assert "scaffold" not in text


@pytest.mark.torch
@pytest.mark.checkout
@pytest.mark.parametrize("name", ["model.safetensors", "parts.safetensors.index.json", "model.pt"])
def test_the_script_converts(
    name: str, by_names: Path, torch_python: str, pristine: Path, original: Path, tmp_path: Path
) -> None:
    done = convert(
        *(torch_python, pristine, by_names, "--checkpoint_path", str(original / name)),
        *("--config_path", str(original / "config.json"), "--output_path", str(tmp_path / "out")),
    )
    assert done.returncode == 0, done.stderr
    assert "they load back unchanged" in done.stdout
    expected = str(original / "expected.safetensors")
    run_checks(torch_python, pristine, "compare", str(tmp_path / "out"), "FluxTransformer2DModel", expected)


@pytest.mark.torch
@pytest.mark.checkout
@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("truncated", "cut.safetensors cannot be read"),
        ("another checkpoint", "keys of the original checkpoint are in none of the tables"),
        ("a lacking shard", "there is no such checkpoint"),
        ("fewer blocks", "double_blocks|weights of the model are not in the checkpoint|is needed"),
    ],
)
def test_the_script_writes_all_or_nothing(
    case: str, message: str, by_names: Path, torch_python: str, pristine: Path, original: Path, tmp_path: Path
) -> None:
    import re

    config = json.loads((original / "config.json").read_text())
    path = original / "model.safetensors"
    if case == "truncated":
        path = tmp_path / "cut.safetensors"
        path.write_bytes((original / "model.safetensors").read_bytes()[:-9])
    elif case == "another checkpoint":
        path = original / "expected.safetensors"
    elif case == "a lacking shard":
        path = tmp_path / "x.safetensors.index.json"
        path.write_text('{"weight_map": {"a": "gone.safetensors"}}')
    else:
        config["num_layers"] = 3
    (tmp_path / "config.json").write_text(json.dumps(config))
    before = files(tmp_path)
    done = convert(
        *(torch_python, pristine, by_names, "--checkpoint_path", str(path)),
        *("--config_path", str(tmp_path / "config.json"), "--output_path", str(tmp_path / "out")),
    )
    assert done.returncode == 1
    assert re.search(message, done.stderr.splitlines()[-1]), done.stderr
    assert files(tmp_path) == before
    assert not (tmp_path / "out").exists()


# Fresh scaffolds


TWIN = """\
    import torch
    from plain_dit import PlainDiT

    class Spelled(torch.nn.Module):
        # The same reference with other names, and one tensor that nothing uses.
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, *inputs):
            return self.model(*inputs)

        def state_dict(self, *args, **kwargs):
            words = {words!r}
            state = self.model.state_dict()
            return {{".".join(words.get(word, word) for word in key.split(".")): state[key] for key in state}}

    model = PlainDiT({modality!r}, {attention!r}, {guidance!r}, CONFIG)
    randomize_weights(model)
    return Spelled(model)
"""
#: As the scaffold's own table has it, and in other words.
SPELLINGS: dict[str, dict[str, str]] = {
    "its own": {},
    "other": {
        "blocks": "stages",
        "qkv": "w1",
        "proj": "w2",
        "mlp": "w3",
        "fc1": "w4",
        "fc2": "w5",
        "final_layer": "w6",
    },
}
CELLS = [
    (attention, modality, "other" if attention == "joint" else "its own")
    for attention in ("joint", "cross")
    for modality in ("image", "video", "audio")
]


@pytest.mark.torch
@pytest.mark.checkout
@pytest.mark.parametrize(("attention", "modality", "spelling"), CELLS)
def test_a_fresh_scaffold_needs_no_edit(
    attention: str, modality: str, spelling: str, torch_python: str, pristine: Path, tmp_path: Path
) -> None:
    checkout = clone_of(pristine, tmp_path / "diffusers")
    single_file = ("--single-file", "--hub-repo", "org/oak") if spelling == "other" else ()
    flags = ("--name", "oak", "--modality", modality, "--attention", attention, "-y")
    done = run_command(*flags, *single_file, cwd=checkout)
    assert done.returncode == 0, done.stderr
    harness, script = checkout / ".scaffold/oak/parity.py", checkout / "scripts/convert_oak_to_diffusers.py"
    text = harness.read_text()
    todo = "    # TODO(oak): import the transformer of the reference"
    before, after = text[: text.index(todo)], text[text.index("\n\n\ndef build_target") :]
    before = before.replace('REFERENCE = ""', f"REFERENCE = {str(ROOT / 'tests')!r}")
    twin = TWIN.format(words=SPELLINGS[spelling], modality=modality, attention=attention, guidance="cfg")
    harness.write_text(before + twin.rstrip() + after)
    status = git_status(checkout)
    refused = run_command("map", "oak", "--python", torch_python, cwd=checkout)
    assert (refused.returncode, "is there already; write over it with --force" in refused.stderr) == (2, True)
    assert git_status(checkout) == status

    done = run_command("map", "oak", "--force", "--python", torch_python, "--json", cwd=checkout)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["status"], found["unproved"], found["coverage"]["unused"]) == ("complete", [], [])
    assert found["max_diff"] < 1e-4
    assert git_status(checkout) == status
    # Loading, saving and the whole pipeline are the scaffold's, as they were.
    text = script.read_text()
    assert all(text.count(f"def {name}(") == 1 for name in ("main", "save_pipeline", "check_saved_model"))
    assert text.count("TRANSFORMER_KEYS:") == text.count("def convert_transformer_state_dict(") == 1

    checkpoint = tmp_path / "model.safetensors"
    run_checks(torch_python, checkout, "save_reference", str(harness), str(checkpoint))
    done = convert(
        *(torch_python, checkout, script, "--checkpoint_path", str(checkpoint)),
        *("--config_path", str(tmp_path / "config.json"), "--output_path", str(tmp_path / "out")),
    )
    assert done.returncode == 0, done.stderr
    run_checks(torch_python, checkout, "same_outputs", str(harness), str(tmp_path / "out"))
    if single_file:
        name = next(word for word in text.split() if word.startswith("OakTransformer")).strip(",.]`)")
        run_checks(torch_python, checkout, "single_file", str(checkpoint), str(tmp_path / "out"), name)
    # A second run finds the same, in the script that the first one wrote.
    done = run_command("map", "oak", "--force", "--python", torch_python, cwd=checkout)
    assert (done.returncode, script.read_text()) == (0, text), done.stderr
