"""``scaffold-model check`` as a user runs it: exit codes, formats, the checklist, repairs and the baseline."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import git_status, run_command

from scaffold_model.formatting import find_ruff

PROJECT = Path(__file__).resolve().parents[1]
ROOT = "src/diffusers/__init__.py"


def _drop(checkout: Path, path: str, line: str) -> None:
    text = (checkout / path).read_text()
    assert text.count(line) == 1
    (checkout / path).write_text(text.replace(line, ""))


def _commit(checkout: Path) -> None:
    subprocess.run(["git", "-C", str(checkout), "commit", "-qam", "a change"], check=True)


@pytest.mark.checkout
def test_baseline_keeps_what_is_new(checkout: Path) -> None:
    done = run_command("check", "--baseline", "HEAD", cwd=checkout)
    assert (done.returncode, done.stdout) == (0, "clean: nothing was found\n"), done.stderr
    _drop(checkout, ROOT, '            "FluxFillPipeline",\n')
    shown = run_command("check", "--baseline", "HEAD", "--json", cwd=checkout)
    assert shown.returncode == 1, shown.stderr
    (finding,) = json.loads(shown.stdout)["findings"]
    line = finding.pop("line")
    assert finding == {
        "registry": "root_structure",
        "object": "FluxFillPipeline",
        "path": ROOT,
        "message": finding["message"],
        "severity": "error",
        "fixable": True,
    }
    assert "is missing from the _import_structure half" in finding["message"]
    assert '_import_structure["pipelines"].extend(' in (checkout / ROOT).read_text().split("\n")[line - 1]
    # Committed, the defect is still new since the commit before it, and old since itself.
    _commit(checkout)
    assert run_command("check", "--baseline", "HEAD~1", cwd=checkout).returncode == 1
    assert run_command("check", "--baseline", "HEAD", cwd=checkout).returncode == 0
    unknown = run_command("check", "--baseline", "nowhere", cwd=checkout)
    assert unknown.returncode == 2
    assert "--baseline nowhere is no revision" in unknown.stderr


@pytest.mark.checkout
def test_annotations(checkout: Path) -> None:
    _drop(checkout, ROOT, '            "FluxFillPipeline",\n')
    done = run_command("check", "--baseline", "HEAD", "--format", "github", cwd=checkout)
    assert done.returncode == 1
    assert re.fullmatch(
        rf"::error file={ROOT},line=\d+,title=root_structure::FluxFillPipeline is missing from .*\n", done.stdout
    )
    both = run_command("check", "--format", "github", "--json", cwd=checkout)
    assert both.returncode == 2


@pytest.mark.checkout
def test_fix_writes_and_a_second_check_is_clean(checkout: Path) -> None:
    _drop(checkout, ROOT, '            "FluxFillPipeline",\n')
    _drop(
        checkout,
        "src/diffusers/models/transformers/__init__.py",
        "    from .transformer_flux import FluxTransformer2DModel\n",
    )
    before = git_status(checkout)
    tried = run_command("check", "--baseline", "HEAD", "--fix", "--dry-run", cwd=checkout)
    assert git_status(checkout) == before
    assert '+            "FluxFillPipeline",\n' in tried.stdout
    fixed = run_command("check", "--baseline", "HEAD", "--fix", "--json", cwd=checkout)
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    assert json.loads(fixed.stdout)["findings"] == []
    assert json.loads(fixed.stdout)["fix"]["status"] == "applied"
    # What was dropped is back, byte for byte.
    assert git_status(checkout) == ""
    assert run_command("check", "--baseline", "HEAD", cwd=checkout).returncode == 0


@pytest.mark.checkout
def test_the_whole_tree(checkout: Path) -> None:
    done = run_command("check", "--json", cwd=checkout)
    assert done.returncode == 1
    findings = json.loads(done.stdout)["findings"]
    severities = [finding["severity"] for finding in findings]
    assert severities == sorted(severities, key=["error", "warning", "hint"].index)
    for finding in findings:
        assert (checkout / finding["path"]).is_file()
        assert finding["line"] is None or finding["line"] > 0
    assert git_status(checkout) == ""


@pytest.mark.checkout
def test_a_change_of_a_source_is_seen_in_its_copies(checkout: Path) -> None:
    """A baseline compares the changed files and those that copy from them, as utils/check_copies.py does for all."""
    path = checkout / "src/diffusers/pipelines/flux/pipeline_flux.py"
    text = path.read_text()
    assert text.count("m = (max_shift - base_shift)") == 1
    path.write_text(text.replace("m = (max_shift - base_shift)", "m = 1 * (max_shift - base_shift)"))
    done = run_command("check", "--baseline", "HEAD", "--json", cwd=checkout)
    findings = json.loads(done.stdout)["findings"]
    assert {(finding["registry"], finding["object"]) for finding in findings} == {
        ("copied_from", "pipelines.flux.pipeline_flux.calculate_shift")
    }
    # The script formats renamed copies with the ruff that is on PATH.
    tools = f"{Path(find_ruff(None)).parent}{os.pathsep}{os.environ['PATH']}"
    script = subprocess.run(
        [sys.executable, "utils/check_copies.py"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": tools},
    )
    reported = set(
        re.findall(r"- (src/\S+\.py): copy does not match pipelines.flux.pipeline_flux.calculate_shift", script.stderr)
    )
    assert reported
    assert {finding["path"] for finding in findings} == reported


@pytest.mark.checkout
@pytest.mark.parametrize("family", ["flux", "wan", "ltx2", "sana", "cogview4", "minimax_h3"])
def test_the_checklist_of_any_family(pristine: Path, family: str) -> None:
    done = run_command("check", family, "--json", "--checkout", str(pristine), cwd=pristine.parent)
    assert done.returncode in (0, 1), done.stderr
    shown = json.loads(done.stdout)
    lines = shown["checklist"]
    parts = list(dict.fromkeys(line["part"] for line in lines))
    assert parts == ["Transformer model", "VAE", "Scheduler", "Pipeline", "Docs", "Style"]
    assert any(line["item"].startswith("implement") and line["done"] for line in lines if line["part"] == "Pipeline")
    for line in lines:
        if line["done"]:
            assert line["path"] is None or (pristine / line["path"]).exists()
        if line["done"] is False:
            assert line["note"] or line["path"]
    registered = [line for line in lines if line["item"] == "register in the __init__.py files"]
    assert registered
    assert all(line["done"] for line in registered)


@pytest.mark.checkout
def test_an_unknown_model(pristine: Path) -> None:
    done = run_command("check", "qwen_imag", "--checkout", str(pristine), cwd=pristine.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("scaffold-model: there is no model named qwen_imag here")
    near = run_command("check", "fluks", "--checkout", str(pristine), cwd=pristine.parent)
    assert near.stderr.strip().endswith("did you mean flux?")


@pytest.mark.checkout
def test_a_scaffold_is_complete_but_for_its_marks(checkout: Path) -> None:
    made = run_command("--name", "y_image", "--both", "--lora", "--yes", cwd=checkout)
    assert made.returncode == 0, made.stderr
    done = run_command("check", "y_image", "--json", cwd=checkout)
    shown = json.loads(done.stdout)
    others = [finding for finding in shown["findings"] if finding["registry"] != "todo"]
    assert [finding["message"] for finding in others] == [
        "the test loads hf-internal-testing/tiny-y-image-modular-pipe from the Hub: publish it before the pull request"
    ]
    assert {finding["severity"] for finding in shown["findings"]} == {"hint"}
    assert done.returncode == 0
    open_ = [line["item"] for line in shown["checklist"] if line["done"] is False]
    assert open_ == ["nothing left to port"]
    new = run_command("check", "--baseline", "HEAD", "--json", cwd=checkout)
    assert {finding["registry"] for finding in json.loads(new.stdout)["findings"]} == {"todo", "first_pull_request"}
    # The state folder ships when nothing excludes it.
    exclude = checkout / ".git" / "info" / "exclude"
    exclude.write_text("")
    ships = run_command("check", "--baseline", "HEAD", "--json", cwd=checkout)
    assert ships.returncode == 1
    paths = {f["path"] for f in json.loads(ships.stdout)["findings"] if f["registry"] == "first_pull_request"}
    assert ".scaffold/y_image/parity.py" in paths


@pytest.mark.checkout
def test_what_fix_registers_is_in_the_manifest_of_its_scaffold(checkout: Path) -> None:
    assert run_command("--name", "foo", "--yes", cwd=checkout).returncode == 0
    path = checkout / ".scaffold" / "foo" / "manifest.json"
    whole = path.read_text()
    row = '            "FooTransformer2DModel",\n'
    _drop(checkout, ROOT, row)
    manifest = json.loads(whole)
    manifest["edited"][ROOT].remove(["root_structure", "FooTransformer2DModel"])
    path.write_text(json.dumps(manifest))
    fixed = run_command("check", "foo", "--fix", cwd=checkout)
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    assert row in (checkout / ROOT).read_text()
    assert path.read_text() == whole


@pytest.mark.checkout
def test_what_fix_takes_out_leaves_the_manifest(checkout: Path) -> None:
    assert run_command("--name", "foo", "--yes", cwd=checkout).returncode == 0
    model = checkout / "src/diffusers/models/transformers/transformer_foo.py"
    model.write_text(model.read_text().replace("FooTransformer2DModel", "FooBarModel"))
    done = run_command("register", "--fix", "--json", cwd=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    edited = json.loads((checkout / ".scaffold" / "foo" / "manifest.json").read_text())["edited"]
    objects = {name for entries in edited.values() for _, name in entries}
    assert "FooTransformer2DModel" not in objects
    assert "FooModularPipeline" in objects


@pytest.mark.checkout
def test_what_shipped_before_the_baseline_is_old(checkout: Path) -> None:
    assert run_command("--name", "foo", "--yes", cwd=checkout).returncode == 0
    harness = "def build_reference():\n    pass\n\n\ndef build_target():\n    pass\n"
    (checkout / "benchmarks" / "compare_foo.py").write_text(harness)

    def harnesses() -> list[str]:
        done = run_command("check", "--baseline", "HEAD", "--json", cwd=checkout)
        findings = json.loads(done.stdout)["findings"]
        return [one["path"] for one in findings if one["object"] == "compare_foo"]

    assert harnesses() == ["benchmarks/compare_foo.py"]
    subprocess.run(["git", "-C", str(checkout), "add", "-A"], check=True)
    _commit(checkout)
    assert harnesses() == []


@pytest.mark.checkout
def test_pre_commit_runs_the_hook(checkout: Path, tmp_path: Path) -> None:
    """The hook of this repository, run by pre-commit itself: green, then red on an omission."""
    hooked = tmp_path / "hooks"
    hooked.mkdir()
    shutil.copy(PROJECT / ".pre-commit-hooks.yaml", hooked)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "hooks"]):
        subprocess.run(
            ["git", "-c", "user.name=T", "-c", "user.email=t@example.com", *command], cwd=hooked, check=True
        )
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=hooked, check=True, capture_output=True, text=True
    ).stdout.strip()
    config = {"repos": [{"repo": str(hooked), "rev": revision, "hooks": [{"id": "scaffold-model-check"}]}]}
    (checkout / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    environment = {
        **os.environ,
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pre_commit", "run", "--files", ROOT]
        return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)

    green = run()
    assert green.returncode == 0, green.stdout + green.stderr
    assert "Passed" in green.stdout
    _drop(checkout, ROOT, '            "FluxFillPipeline",\n')
    red = run()
    assert red.returncode == 1
    assert "FluxFillPipeline is missing from the _import_structure half" in red.stdout, red.stdout


@pytest.mark.checkout
def test_the_steps_of_the_action_run_as_the_runner_runs_them(checkout: Path, tmp_path: Path) -> None:
    action = yaml.safe_load((PROJECT / "action.yml").read_text())
    step = action["runs"]["steps"][-1]
    script = tmp_path / "step.sh"
    script.write_text(step["run"])
    # The step before has installed the command here.
    installed = tmp_path / "scaffold-model" / "bin"
    installed.mkdir(parents=True)
    command = installed / "scaffold-model"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m scaffold_model "$@"\n')
    command.chmod(0o755)

    def run(**inputs: str) -> subprocess.CompletedProcess[str]:
        given = {name: details["default"] for name, details in action["inputs"].items()} | inputs
        values = {
            variable: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda match: given[match[1]], value)
            for variable, value in step["env"].items()
        }
        environment = {**os.environ, **values, "RUNNER_TEMP": str(tmp_path)}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        return subprocess.run(shell, cwd=checkout, env=environment, capture_output=True, text=True, check=False)

    green = run(baseline="HEAD")
    assert green.returncode == 0, green.stdout + green.stderr
    _drop(checkout, ROOT, '            "FluxFillPipeline",\n')
    red = run(baseline="HEAD")
    assert red.returncode == 1
    (row,) = red.stdout.splitlines()
    assert re.fullmatch(
        rf"::error file={ROOT},line=\d+,title=root_structure::FluxFillPipeline is missing from .*", row
    )
    one = run(model="flux")
    assert one.returncode == 1
    assert "FluxFillPipeline" in one.stdout
    assert "::error file=src/diffusers/__init__.py" in one.stdout


def test_the_hook_and_the_action_call_options_that_exist(tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text())
    action = yaml.safe_load((PROJECT / "action.yml").read_text())
    script = action["runs"]["steps"][-1]["run"]
    known = run_command("check", "--help", cwd=tmp_path).stdout
    options = re.findall(r"--[a-z]+", hook["entry"] + script)
    assert set(options) == {"--baseline", "--format", "--checkout"}
    assert all(option in known for option in options)
    assert hook["entry"].startswith("scaffold-model check ")
    assert set(re.findall(r"inputs\.([a-z-]+)", (PROJECT / "action.yml").read_text())) == set(action["inputs"])


def test_outside_a_checkout(tmp_path: Path) -> None:
    done = run_command("check", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["type"] == "NotACheckout"
