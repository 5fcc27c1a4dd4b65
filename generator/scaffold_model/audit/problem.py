"""A finding together with what would repair it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..plan import Finding, Severity
from ..registries.base import Entry


@dataclass(frozen=True)
class Repair:
    """How the engine mends a finding.

    Attributes:
        action: ``register`` what discovery found, ``insert`` an entry, ``remove`` one, or ``move`` one to its place.
        registry: The registry.
        entry: What is inserted or removed; of ``register`` only the object counts.
        old: For ``move``: what is taken out first.
    """

    action: Literal["register", "insert", "remove", "move"]
    registry: str
    entry: Entry
    old: Entry | None = None


@dataclass(frozen=True)
class Problem:
    """A finding, and its repair where there is one."""

    finding: Finding
    repair: Repair | None = None


def problem(
    registry: str,
    object_name: str,
    path: str,
    line: int | None,
    message: str,
    severity: Severity,
    repair: Repair | None = None,
) -> Problem:
    """A problem whose finding is fixable when there is a repair."""
    return Problem(Finding(registry, object_name, path, line, message, severity, repair is not None), repair)


def shown(backends: tuple[str, ...]) -> str:
    """A backend group in prose: ``torch and transformers``."""
    return " and ".join(backends) if backends else "no backend"
