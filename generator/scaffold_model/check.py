"""``check`` as a whole: the audit of a checkout or of one model, its baseline, its repairs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .audit import Branch, Problem, View, audit_view, new_since
from .audit.checklist import Line, checklist
from .audit.copies import Ruff, dependants
from .audit.family import Family, find_family
from .audit.fixing import fix
from .audit.history import branch, past
from .plan import Finding, Plan
from .registration import check_registries
from .registries.base import ROOT
from .snapshot import Snapshot


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes:
        findings: What is wrong, or remains so after ``--fix``.
        lines: The checklist, when one model was asked for.
        plan: What ``--fix`` changes.
    """

    findings: tuple[Finding, ...]
    lines: tuple[Line, ...] | None
    plan: Plan


@dataclass(frozen=True)
class Request:
    """What is to be checked.

    Attributes:
        name: One model, or the whole checkout.
        baseline: A revision whose findings do not count.
        copies: Compare all ``# Copied from`` blocks of the library.
        fix: Plan repairs.
    """

    name: str | None = None
    baseline: str | None = None
    copies: bool = False
    fix: bool = False


def check(root: Path, snapshot: Snapshot, request: Request, ruff: Ruff) -> Checked:
    """Check a checkout.

    Raises:
        ScaffoldError: No checkout of diffusers, a registry that can not be read, no such model or revision.
    """
    check_registries(snapshot)
    before, changed = past(root, snapshot, request.baseline) if request.baseline else (None, [])
    # git answers while the checkout is read.
    pool = ThreadPoolExecutor(max_workers=1)
    asked = pool.submit(branch, root, Snapshot(root))
    pool.shutdown(wait=False)

    def problems_in(current: Snapshot) -> tuple[View, Family | None, list[Problem]]:
        view = View(current, package=request.name)
        family = find_family(view, request.name) if request.name else None
        paths = None
        if family is not None:
            paths = sorted(path for path in family.paths if current.exists(path))
            listed = {name for init in view.inits.values() if init.path.count("/") > 3 for name in init.by_name}
            view.focus = frozenset(export.name for export in family.exports) | listed
        copied = _copied(view, request, family, changed)
        found = audit_view(view, branch=asked.result, copied=copied, ruff=ruff, paths=paths)
        if family is not None:
            found = [each for each in found if family.concerns(each.finding)]
        return view, family, found

    old: list[Problem] = []
    if before is not None:
        then = View(before)
        shipped = before.exists

        def earlier() -> Branch | None:
            """What shipped before the baseline is old, although it is part of the same pull request."""
            now = asked.result()
            return Branch(frozenset(filter(shipped, now.added))) if now else None

        old = audit_view(then, branch=earlier, copied=_copied(then, request, None, changed), ruff=ruff)
    view, family, problems = problems_in(snapshot)
    fresh: Sequence[Problem] = new_since(problems, old)
    plan = Plan()
    if request.fix:

        def again(edited: Snapshot) -> list[Problem]:
            return new_since(problems_in(edited)[2], old)

        plan, fresh = fix(snapshot, fresh, again)
        if plan and family is not None:
            view, family, problems = problems_in(snapshot.overlaid(plan.overlay()))
    lines = tuple(checklist(view, family, problems)) if family is not None else None
    return Checked(tuple(each.finding for each in fresh), lines, plan)


def _copied(view: View, request: Request, family: Family | None, changed: list[str]) -> list[str]:
    """The files whose copies are compared: all, those of the model, or those that changed and what copies them."""
    if request.copies:
        return list(view.snapshot.walk(ROOT))
    if family is not None:
        return [path for path in sorted(family.paths) if path.startswith(f"{ROOT}/") and path.endswith(".py")]
    return dependants(view, changed)
