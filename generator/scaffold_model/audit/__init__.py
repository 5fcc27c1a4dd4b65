"""The audit of a checkout: what the repository's own CI does not see, as findings with their repairs.

Nothing here needs a scaffold; with one, its marks and its parity harness are looked at too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ..plan import Finding
from ..registration import check_registries
from ..registries.base import ROOT
from ..snapshot import Snapshot
from . import copies, coverage, docs, dummies, house_changes, inits, mappings, optional, shipping
from .copies import Ruff
from .problem import Problem
from .shipping import Branch
from .view import ROOT_INIT, View

_RANK = {"error": 0, "warning": 1, "hint": 2}


def audit(
    snapshot: Snapshot,
    *,
    branch: Callable[[], Branch | None] | None = None,
    copied: Sequence[str] | None = None,
    ruff: Ruff | None = None,
) -> list[Problem]:
    """Every problem of a checkout, errors first.

    Args:
        snapshot: The checkout.
        branch: Tells what the branch adds to the upstream one, to know a model's first pull request; asked last.
        copied: The files whose ``# Copied from`` blocks are compared with their sources.
        ruff: Finds the formatter for that.

    Raises:
        ScaffoldError: No checkout of diffusers, or a registry that can not be read.
    """
    check_registries(snapshot)
    return audit_view(View(snapshot), branch=branch, copied=copied, ruff=ruff)


def audit_view(
    view: View,
    *,
    branch: Callable[[], Branch | None] | None = None,
    copied: Sequence[str] | None = None,
    ruff: Ruff | None = None,
    paths: Sequence[str] | None = None,
) -> list[Problem]:
    """As :func:`audit`, of a view that exists; ``paths`` limits the scan for stubs and marks."""
    stale = {spot.name for init, _, spot in inits.stale_spots(view) if init.path == ROOT_INIT}
    found = [
        *inits.check(view),
        *dummies.check(view, stale),
        *mappings.check(view),
        *optional.check(view),
        *docs.check(view),
        *coverage.check(view),
        *house_changes.check(view),
        *copies.check_stubs(view, view.snapshot.walk(ROOT) if paths is None else paths),
        *shipping.check_marks(view, paths),
    ]
    if copied and ruff is not None:
        found.extend(copies.check_copies(view, copied, ruff))
    added = branch() if branch is not None else None
    if added is not None:
        found.extend(shipping.check_first(view, added))
    return sorted(found, key=_order)


def _order(each: Problem) -> tuple[object, ...]:
    finding = each.finding
    return _RANK[finding.severity], finding.path, finding.line or 0, finding.registry, finding.object


def new_since(now: Iterable[Problem], before: Iterable[Problem]) -> list[Problem]:
    """What the baseline did not have, whatever moved up or down in its file."""
    old = Counter(_identity(each.finding) for each in before)
    fresh: list[Problem] = []
    for each in now:
        key = _identity(each.finding)
        if old[key]:
            old[key] -= 1
        else:
            fresh.append(each)
    return fresh


def _identity(finding: Finding) -> tuple[str, ...]:
    message = re.sub(r"\bline \d+", "line", finding.message)
    return finding.registry, finding.object, finding.path, message


def is_clean(findings: Iterable[Finding]) -> bool:
    """No error and no warning."""
    return all(finding.severity == "hint" for finding in findings)


__all__ = ["Branch", "Problem", "View", "audit", "audit_view", "is_clean", "new_since"]
