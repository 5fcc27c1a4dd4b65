"""The comparison of a scaffold's files with those of real pull requests: roles, options, counting."""

from __future__ import annotations

from types import ModuleType

import pytest
from conftest import load_tool

ADDED = [
    "docs/source/en/api/models/autoencoder_kl_bar.md",
    "docs/source/en/api/models/bar_transformer_3d.md",
    "docs/source/zh/bar.md",
    "scripts/convert_bar_weights.py",
    "src/diffusers/models/autoencoders/autoencoder_kl_bar.py",
    "src/diffusers/models/transformers/transformer_bar.py",
    "src/diffusers/models/transformers/transformer_bar_far.py",
    "src/diffusers/pipelines/bar/__init__.py",
    "src/diffusers/pipelines/bar/pipeline_bar.py",
    "src/diffusers/pipelines/bar/pipeline_bar_i2v.py",
    "src/diffusers/pipelines/bar/vocoder.py",
    "tests/pipelines/bar/test_bar_image_to_video.py",
]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_tool("file_recall")


@pytest.mark.parametrize(
    ("path", "role"),
    [
        (ADDED[0], ("models", "autoencoder page")),
        (ADDED[1], ("models", "page")),
        (ADDED[2], None),
        (ADDED[3], ("scripts", "conversion")),
        ("src/diffusers/pipelines/i2vgen_xl/pipeline_i2vgen_xl.py", ("src/diffusers/pipelines", "t2v")),
        ("src/diffusers/pipelines/bar/pipeline_bar_i2v.py", ("src/diffusers/pipelines", "i2v")),
        ("tests/pipelines/bar/test_bar_image_to_video.py", ("tests/pipelines", "i2v")),
        (
            "src/diffusers/modular_pipelines/bar/modular_blocks_x.py",
            ("src/diffusers/modular_pipelines", "modular_blocks"),
        ),
        ("tests/modular_pipelines/bar/test_modular_bar.py", ("tests/modular_pipelines", "modular test")),
    ],
)
def test_roles(tool: ModuleType, path: str, role: tuple[str, str] | None) -> None:
    assert tool.role(path, "video") == role


def test_the_options_are_read_from_what_was_added(tool: ModuleType) -> None:
    spec = tool.equivalent(ADDED, "video")
    assert (spec.format, spec.task, spec.vae) == ("standard", ("t2v", "i2v"), "new")
    assert spec.scheduler == "FlowMatchEulerDiscreteScheduler"


def test_a_second_file_of_a_role_is_no_hit_one_to_one(tool: ModuleType) -> None:
    created = [path for path in ADDED if "vocoder" not in path and "zh" not in path and "far" not in path]
    assert tool.compare(ADDED, created, "video") == (
        ("docs/source/zh/bar.md", "src/diffusers/pipelines/bar/vocoder.py"),
        ("src/diffusers/models/transformers/transformer_bar_far.py",),
    )


def test_helper_modules_are_apart(tool: ModuleType) -> None:
    assert [path for path in ADDED if not tool.is_counted(path)] == ["src/diffusers/pipelines/bar/vocoder.py"]
    assert not tool.is_counted("src/diffusers/hooks/text_kv_cache.py")
    assert tool.is_counted("src/diffusers/modular_pipelines/bar/inputs.py")
    assert tool.is_counted("src/diffusers/pipelines/stable_audio/modeling_stable_audio.py")
