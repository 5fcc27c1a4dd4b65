"""Registration on real pull requests: the registries of a commit put back to what they were, and filled again."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from conftest import load_tool


@pytest.fixture(scope="module")
def pull_requests() -> ModuleType:
    return load_tool("pull_requests")


@pytest.fixture(scope="module")
def tree(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose work tree the replay overwrites."""
    root = tmp_path_factory.mktemp("history") / "diffusers"
    subprocess.run(
        ["git", "clone", "--quiet", "--shared", "--no-checkout", str(pristine), str(root)],
        check=True,
    )
    return root


#: The first seven were tried when the rules were done; the others broke one, or wanted one, when they were first tried.
REPLAYED = {
    "360bef8074": ("Stable Audio 3", 35),
    "9b0818cf87": ("Ideogram 4, with a modular pipeline", 24),
    "7b107d3836": ("a modular pipeline of Stable Diffusion 3", 11),
    "33f785b444": ("Helios, with a guide and two schedulers", 33),
    "5ffb73d4ae": ("Flux 2, with an autoencoder", 21),
    "b5309683cb": ("a scheduler of Cosmos beside its pipeline", 7),
    "5e3b7d2d8a": ("EasyAnimate", 30),
    "39e1f7eaa4": ("a pipeline that needs sentencepiece in a package that does not", 7),
    "04717fd861": ("Stable Diffusion 3: a LoRA mixin of then, a page in a folder", 26),
    "be2070991f": ("mixins of an IP adapter", 4),
    "6313645b6b": ("a pipeline on k-diffusion, and its page in a folder", 8),
    "8b33b47332": ("the quantizer SDNQ, with a guide", 4),
    "60ec6f7242": ("a quantizer without a library of its own", 4),
    "4acbfbf13b": ("a quantizer of September 2025", 4),
    "9f00c617a0": ("a quantizer from before they were guarded", 3),
    "7d2e86a85a": ("tensor parallelism: a configuration, and a hook that only its folder lists", 6),
    "bcc20e452b": ("a class that users of a known pipeline have to make", 7),
}


@pytest.mark.checkout
@pytest.mark.parametrize("commit", REPLAYED)
def test_what_a_pull_request_registered_is_registered(pull_requests: ModuleType, tree: Path, commit: str) -> None:
    case = pull_requests.replay(tree, commit)
    assert (case.missing, case.noticed, case.extra, case.repeated) == ([], [], [], []), case
    assert len(case.wanted) == REPLAYED[commit][1]


@pytest.mark.checkout
def test_what_can_not_be_decided_is_noticed(pull_requests: ModuleType, tree: Path) -> None:
    case = pull_requests.replay(tree, "10302496a6")
    assert {fact[2] for fact in case.noticed} == {"JoyImageEditPipelineOutput"}
    assert (case.missing, case.extra, case.repeated) == ([], [], [])


@pytest.mark.checkout
def test_a_commit_that_registers_nothing_is_no_case(pull_requests: ModuleType, tree: Path) -> None:
    assert pull_requests.replay(tree, "58eb52c080") is None
