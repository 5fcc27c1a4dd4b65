from __future__ import annotations

from pathlib import Path

import pytest

from scaffold_model.conventions import detect
from scaffold_model.snapshot import Snapshot

MODULAR = "src/diffusers/modular_pipelines/modular_pipeline.py"


def test_an_older_checkout() -> None:
    found = detect(
        Snapshot(
            None,
            {
                "pyproject.toml": "[tool.ruff]\nline-length = 100\n",
                MODULAR: 'MODULAR_PIPELINE_BLOCKS_MAPPING = OrderedDict(\n    [\n        ("A", "B"),\n    ]\n)\n',
                "src/diffusers/models/unets/__init__.py": "",
                "src/diffusers/models/other/readme.md": "",
            },
        )
    )
    assert (found.line_length, found.modular, found.default_map, found.blocks_mapping) == (100, True, False, True)
    assert found.models_layout == ("unets",)
    assert not found.toctree


def test_nothing_at_all() -> None:
    found = detect(Snapshot(None))
    assert (found.line_length, found.modular, found.models_layout) == (119, False, ())


@pytest.mark.checkout
def test_head(pristine: Path) -> None:
    found = detect(Snapshot(pristine))
    assert found.line_length == 119
    assert found.default_map
    assert not found.blocks_mapping
    assert "transformers" in found.models_layout
    assert all((pristine / path).exists() for path in found.sources.values())
