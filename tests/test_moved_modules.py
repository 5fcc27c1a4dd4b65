"""A module that is renamed inside its package: `check` says so, and `check --fix` lists its classes where they are now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from conftest import clone_of

from scaffold_model.audit import audit, new_since
from scaffold_model.audit.fixing import fix
from scaffold_model.audit.problem import Problem
from scaffold_model.registries import init_reading
from scaffold_model.snapshot import Snapshot

SRC = "src/diffusers"
#: Module -> what lists it. Each was wrong in a way of its own, or stands for a shape that most have.
MODULES = {
    "pipelines/ddim/pipeline_ddim": ("pipelines/ddim/__init__.py",),
    "pipelines/cogview3/pipeline_cogview3plus": ("pipelines/cogview3/__init__.py",),
    "pipelines/consisid/pipeline_consisid": ("pipelines/consisid/__init__.py",),
    "pipelines/cosmos/pipeline_cosmos3_omni": ("pipelines/cosmos/__init__.py",),
    "pipelines/llada2/pipeline_llada2": ("pipelines/llada2/__init__.py",),
    "pipelines/stable_diffusion/pipeline_stable_diffusion_depth2img": ("pipelines/stable_diffusion/__init__.py",),
    "pipelines/onnx_utils": ("pipelines/__init__.py",),
    "pipelines/pipeline_utils": ("pipelines/__init__.py",),
    "pipelines/flux/pipeline_flux_fill": ("pipelines/flux/__init__.py",),
    "modular_pipelines/flux/modular_pipeline": ("modular_pipelines/flux/__init__.py",),
    "models/transformers/transformer_lumina2": ("models/__init__.py", "models/transformers/__init__.py"),
    "models/autoencoders/autoencoder_kl": ("models/__init__.py", "models/autoencoders/__init__.py"),
    "models/adapter": ("models/__init__.py",),
    "schedulers/scheduling_ddim": ("schedulers/__init__.py",),
}


@pytest.fixture(scope="module")
def tree(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone_of(pristine, tmp_path_factory.mktemp("moved") / "diffusers")


@pytest.fixture(scope="module")
def standing(tree: Path) -> Sequence[Problem]:
    return audit(Snapshot(tree))


@pytest.fixture
def moved(tree: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    module = str(request.param)
    old, new = tree / f"{SRC}/{module}.py", tree / f"{SRC}/{module}_x.py"
    os.rename(old, new)
    yield module
    os.rename(new, old)


@pytest.mark.checkout
@pytest.mark.parametrize("moved", MODULES, indirect=True)
def test_its_entries_follow_it(tree: Path, standing: Sequence[Problem], moved: str) -> None:
    def new(snapshot: Snapshot) -> Sequence[Problem]:
        return [
            each
            for each in new_since(audit(snapshot), standing)
            # What stands in the module all the time is there under its new name, too.
            if each.finding.registry not in ("docs", "tests", "single_file", "copies")
        ]

    name = moved.rsplit("/", 1)[1]
    snapshot = Snapshot(tree)
    found = new(snapshot)
    assert {each.finding.path for each in found} == {f"{SRC}/{path}" for path in MODULES[moved]}
    assert {each.finding.fixable for each in found} == {True}
    assert any(f"it is in {SRC}/{moved}_x.py" in each.finding.message for each in found)
    plan, remaining = fix(snapshot, found, new)
    assert remaining == []
    assert {edit.path for edit in plan.edits} == {f"{SRC}/{path}" for path in MODULES[moved]}
    for edit in plan.edits:
        # The order of the entries is that of the new name, and a list may take another form.
        assert _said(edit.after) == _said(re.sub(rf"\b{name}\b", f"{name}_x", edit.before)), edit.path


def _said(text: str) -> list[tuple[str, frozenset[str], tuple[str, ...]]]:
    """What an init lists in each half: the module, its names and its guard, in an order of their own."""
    keys = (key for half in ("structure", "types") for key in init_reading.keys(text, half))
    return sorted((key.module, frozenset(key.names), key.suite.guard) for key in keys)


@pytest.mark.checkout
@pytest.mark.parametrize("moved", ["models/transformers/transformer_flux"], indirect=True)
def test_a_class_that_the_hooks_import_from_there_is_not_taken_out(
    tree: Path, standing: Sequence[Problem], moved: str
) -> None:
    snapshot = Snapshot(tree)
    found = [each for each in new_since(audit(snapshot), standing) if each.finding.registry.startswith("hooks_")]
    assert {(each.finding.object, each.finding.severity, each.finding.fixable) for each in found} == {
        (name, "error", False) for name in ("FluxAttnProcessor", "FluxTransformerBlock", "FluxSingleTransformerBlock")
    }
    assert all(f"it is in {SRC}/{moved}_x.py, import it from there" in each.finding.message for each in found)
