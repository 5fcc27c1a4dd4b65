"""Generated files as an older checkout would have them.

The template is written for today's diffusers. What an older checkout lacks is a stored answer (``lacks``), like the styles of
its tests, so that every render, also the temporary ones of an update, comes out alike. Each conversion is a function
from text to text that leaves alone what it does not concern.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..spec import ModelSpec

#: The styles of tests that the template writes, in any area.
TODAY = ("mixins", "config", "none")


def adapted(spec: ModelSpec, files: Mapping[str, str]) -> dict[str, str]:
    """Rendered files as the checkout of these answers expects them; unchanged for a checkout of today.

    Args:
        spec: The answers; what counts are the stored conventions among them.
        files: Rendered texts by path; not those whose `# Copied from` stubs are filled, since what comes from the checkout
            is in its style.
    """
    return {path: _adapted(spec, path, text) for path, text in files.items()}


def _adapted(spec: ModelSpec, path: str, text: str) -> str:
    for convert in _conversions(spec, path):
        text = convert(text)
    return text


def _conversions(spec: ModelSpec, path: str) -> list[Callable[[str], str]]:
    """What has to be done to a file, in an order in which no conversion undoes another."""
    # libcst takes a quarter of a second to import, which nobody should wait for in a checkout of today.
    lacks = set(spec.lacks)
    found: list[Callable[[str], str]] = []
    if path.startswith("src/") and lacks:
        from .blocks import without_auto_docstrings, without_workflow_map
        from .lora_scale import scaled_by_hand
        from .parallel import without_context_parallel
        from .parameters import spelled_out
        from .tiling import with_own_tiling

        modular = path.startswith("src/diffusers/modular_pipelines/")
        source: dict[str, tuple[bool, Callable[[str], str]]] = {
            "parameter_templates": (modular, spelled_out),
            "auto_docstrings": (modular, without_auto_docstrings),
            "workflow_map": (modular, without_workflow_map),
            "lora_scale_decorator": (not modular, scaled_by_hand),
            "parallel_config": (not modular, without_context_parallel),
            "video_tiling": (not modular, with_own_tiling),
        }
        found += [convert for name, (applies, convert) in source.items() if applies and name in lacks]
    if path.startswith("tests/") and path.endswith(".py"):
        found += _test_conversions(spec, path)
    if "dtype_argument" in lacks:
        from .wording import with_torch_dtype

        found.append(with_torch_dtype)
    if "union_hints" in lacks and path.endswith(".py"):
        from .hints import with_typing

        found.append(with_typing)
    return found


def _test_conversions(spec: ModelSpec, path: str) -> list[Callable[[str], str]]:
    style_of = {
        "tests/models/autoencoders/": "unittest" if "autoencoder_config_tests" in spec.lacks else spec.tests,
        "tests/models/": spec.tests,
        "tests/pipelines/": spec.pipeline_tests,
        "tests/modular_pipelines/": spec.modular_tests,
    }
    area = next((folder for folder in style_of if path.startswith(folder)), None)
    if area is None or (not spec.lacks and style_of[area] in TODAY):
        return []
    from functools import partial

    from .styles import STYLES, with_helpers, with_new_autoencoder_mixin, without_assert_tensors_close
    from .tests import restyled

    style = STYLES.get((area, style_of[area]))
    found: list[Callable[[str], str]] = [
        partial(with_helpers, missing=spec.lacks) if style is None else partial(restyled, style=style)
    ]
    if "autoencoder_mixin_name" in spec.lacks:
        found.append(with_new_autoencoder_mixin)
    return [*found, without_assert_tensors_close] if "assert_tensors_close" in spec.lacks else found
