"""The keyword that names the dtype of what is loaded."""

from __future__ import annotations

import re

_LOADING = re.compile(r"(\b(?:from_pretrained|load_components|from_single_file)\([^()]*?)\bdtype=")


def with_torch_dtype(text: str) -> str:
    """Code, docs and examples that load with ``torch_dtype=`` instead of ``dtype=``."""
    return _LOADING.sub(r"\1torch_dtype=", text)
