"""What a merge gives: a text, with or without conflicts; or it can not be settled by structure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Merged:
    """The text of a merge; with ``conflicts`` it holds conflict markers."""

    text: str
    conflicts: bool = False


class Unsettled(Exception):
    """The structure of the two sides can not be brought together."""


TextMerge = Callable[[str, str, str], Merged]  # base, ours, theirs
