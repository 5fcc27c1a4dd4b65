"""The command `parity`: fresh scaffolds beside a plain DiT, what it refuses, its table and its page."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, clone_of, git_status, run_command

from scaffold_model.parity.picture import marked_layer, picture
from scaffold_model.parity.report import page, verdict

#: Each kind of attention and each modality, with guidance as an input in one of either kind.
CELLS = {
    "oak": ("image", "joint", "cfg"),
    "elm": ("image", "cross", "embedded"),
    "ash": ("video", "joint", "embedded"),
    "fir": ("video", "cross", "cfg"),
    "yew": ("audio", "joint", "cfg"),
    "box": ("audio", "cross", "cfg"),
}


def _with_twin(checkout: Path, name: str, bug: str = "") -> None:
    modality, attention, guidance = CELLS[name]
    path = checkout / ".scaffold" / name / "parity.py"
    text = path.read_text(encoding="utf-8")
    todo = f"    # TODO({name}): import the transformer of the reference"
    if todo not in text:
        path.write_text(re.sub(r"planted_bug='\w*'", f"planted_bug={bug!r}", text), encoding="utf-8")
        return
    before, after = text[: text.index(todo)], text[text.index("\n\n\ndef build_target") :]
    before = before.replace('REFERENCE = ""', f"REFERENCE = {str(ROOT / 'tests')!r}")
    path.write_text(
        f"{before}    from plain_dit import PlainDiT\n\n"
        f"    model = PlainDiT({modality!r}, {attention!r}, {guidance!r}, CONFIG, planted_bug={bug!r})\n"
        f"    randomize_weights(model)\n    return model{after}",
        encoding="utf-8",
    )


@pytest.mark.torch
@pytest.mark.checkout
def test_fresh_scaffolds_agree_with_a_twin(pristine: Path, tmp_path: Path, torch_python: str) -> None:
    checkout = clone_of(pristine, tmp_path / "diffusers")
    for name, (modality, attention, guidance) in CELLS.items():
        flags = ("--name", name, "--modality", modality, "--attention", attention, "--guidance", guidance, "-y")
        made = run_command(*flags, cwd=checkout)
        assert made.returncode == 0, made.stderr
    refused = run_command("parity", "oak", "--python", torch_python, cwd=checkout)
    assert refused.returncode == 2
    assert "build_reference" in refused.stderr.splitlines()[-1]
    for name, (modality, _, guidance) in CELLS.items():
        _with_twin(checkout, name)
        status = git_status(checkout)
        done = run_command("parity", name, "--python", torch_python, "--steps", "3", "--json", cwd=checkout)
        assert done.returncode == 0, done.stdout[-500:] + done.stderr[-500:]
        result = json.loads(done.stdout)
        assert result["passed"]
        assert result["max_diff"] < 1e-4
        assert len(result["layers"]) > 25
        assert all(layer["relative"] < 1e-5 for layer in result["layers"])
        assert [round(step["sigma"], 3) for step in result["loop"]["steps"]] == [0.667, 0.333, 0]
        bugs = {"rotation": ("pos_embed", "rope-axes")} if modality == "video" else {}
        bugs |= {"guidance": ("time_guidance_embed", "guidance-scale")} if guidance == "embedded" else {}
        for bug, (module, tag) in bugs.items():
            _with_twin(checkout, name, bug)
            done = run_command("parity", name, "--python", torch_python, "--steps", "0", "--json", cwd=checkout)
            assert done.returncode == 1, done.stderr[-500:]
            found = json.loads(done.stdout)["first_divergence"]
            assert (found["target_module"], found["causes"][0]["tag"]) == (module, tag), found
        assert git_status(checkout) == status


def test_what_is_refused(tmp_path: Path) -> None:
    harness = tmp_path / "parity.py"
    for arguments, message in {
        (): "give either NAME or --harness FILE; see scaffold-model parity --help",
        ("foo", "--harness", "x.py"): "give either NAME or --harness FILE; see scaffold-model parity --help",
        ("--harness", str(harness)): f"{harness}: is no file; name the harness with --harness FILE",
        ("foo", "--html", str(tmp_path / "no" / "x.html")): (
            f"--html {tmp_path}/no/x.html: its folder does not exist; create it, or name a file in another one"
        ),
    }.items():
        done = run_command("parity", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"scaffold-model: {message}\n")


@pytest.mark.torch
@pytest.mark.checkout
def test_a_harness_outside_of_any_checkout(tmp_path: Path, torch_python: str, pristine: Path) -> None:
    harness = tmp_path / "small.py"
    harness.write_text(
        "import torch\n"
        "def build_reference(): torch.manual_seed(0); return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.GELU())\n"
        "def build_target(): return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.SiLU())\n"
        "def make_inputs(): torch.manual_seed(1); return {'x': torch.randn(2, 3, 4)}\n"
        "def run_reference(model, inputs): return model(inputs['x'])\n"
        "run_target = run_reference\n"
        "def convert(state): return state\n"
    )
    page_path = tmp_path / "page.html"
    options = ("--python", torch_python, "--checkout", str(pristine))
    done = run_command("parity", "--harness", str(harness), "--html", str(page_path), *options, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("first divergence: 1") for line in lines), done.stdout
    assert "activation  with GELU in place of `silu` of 1 it agrees: max_diff 0.00e+00" in done.stdout
    text = page_path.read_text(encoding="utf-8")
    assert "first divergence: 1" in text
    assert not re.search(r'(src|href)="', text), "the page needs nothing beside it"
    broken = harness.read_text().replace("return state", "return {'0.weight': state['0.weight'].repeat(2, 1)}")
    harness.write_text(broken)
    done = run_command("parity", "--harness", str(harness), *options, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"scaffold-model: {harness}: convert makes weights of other shapes: 0.weight is (8, 4), but (4, 4) is needed; "
        "mend the conversion, or the sizes in build_target"
    )


def _result(**changes: Any) -> dict[str, Any]:
    layers = [
        {"target_module": name, "reference_module": f"r.{name}", "max_diff": value, "relative": value}
        for name, value in (("a", 0.0), ("b.0.x", 1e-7), ("b.1.<y>", 0.5), ("b.1.z", None))
    ]
    return {
        "max_diff": 0.5,
        "passed": False,
        "tolerance": 1e-3,
        "outputs": [{"index": 0, "shape": [2, 3], "max_diff": 0.5}],
        "mismatches": [],
        "first_divergence": {"target_module": "b.1", "reference_module": "r.b", "max_diff": 0.5, "causes": []},
        "layers": layers,
        "loop": {"steps": [], "reason": "it was not asked for"},
        "drift": [],
        **changes,
    }


def test_the_picture_is_whole() -> None:
    tree = ElementTree.fromstring(picture(_result()))
    space = {"s": "http://www.w3.org/2000/svg"}
    dots = tree.findall(".//s:circle", space)
    assert [dot.findtext("s:title", "", space).split("  ")[0] for dot in dots] == ["a", "b.0.x", "b.1.<y>", "b.1.z"]
    assert [dot.get("fill") for dot in dots] == ["#1f6feb", "#1f6feb", "#b3261e", "#b3261e"]
    heights = [float(dot.get("cy", 0)) for dot in dots]
    assert heights == sorted(heights, reverse=True), "a larger difference stands higher, and what is not finite on top"
    words = [text.text for text in tree.findall(".//s:text", space)]
    assert "first divergence: b.1" in words
    assert "tolerance 1e-03" in words
    assert marked_layer(_result()["layers"], "b.1") == 2
    assert marked_layer(_result()["layers"], "") == 2


def test_the_page_says_all_and_escapes_it() -> None:
    text = page(_result(), "<model>")
    assert "<title>Parity of &lt;model&gt;</title>" in text
    assert "b.1.&lt;y&gt;" in text
    assert "No single change that was tried makes it agree." in text
    assert "it was not asked for" in text


def test_the_verdict() -> None:
    assert verdict(_result()) == "failed: max_diff 5.00e-01, tolerance 1e-03"
    assert verdict(_result(max_diff=None)) == "failed: max_diff not finite, tolerance 1e-03"
    assert verdict(_result(passed=True, max_diff=1e-6)) == "passed: max_diff 1.00e-06, tolerance 1e-03"
    missing = [{"key": "a.bias", "kind": "missing"}]
    assert verdict(_result(max_diff=1e-6, mismatches=missing)) == (
        "failed: weights do not load strictly, though max_diff is 1.00e-06"
    )
