"""More of a model that has no answers: what can be told from the code."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadInput
from ..snapshot import Snapshot
from ..update import Updated
from .request import Request


def add_to_model(root: Path, snapshot: Snapshot, name: str, request: Request, ruff: str | None) -> Updated:
    if request.needs_answers:
        raise BadInput("todo")
    raise BadInput("todo")
