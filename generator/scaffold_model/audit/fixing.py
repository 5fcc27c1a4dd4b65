"""The repairs of findings as one plan: what is stale goes, what is missing is registered, what is astray moves.

Registering is what ``register`` does, limited to the names of the findings; the rest are single calls of the same
registries. A repair that does not come out as planned is left undone, and its finding stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..code.syntax import parse
from ..errors import ScaffoldError
from ..plan import NewFile, Plan, PlanBuilder, Registered, merge_plans
from ..registration import register
from ..registries import OPTIONAL, REGISTRIES, dummy_objects, init_reading
from ..registries.base import ROOT, Entry, Registry
from ..snapshot import Snapshot
from .problem import Problem, Repair

_ORDER = {registry.NAME: index for index, registry in enumerate((*REGISTRIES, *OPTIONAL))}
_BY_NAME: dict[str, Registry] = {registry.NAME: registry for registry in (*REGISTRIES, *OPTIONAL)}


ROUNDS = 3


def fix(
    snapshot: Snapshot, problems: Sequence[Problem], audited: Callable[[Snapshot], Sequence[Problem]]
) -> tuple[Plan, Sequence[Problem]]:
    """One plan that repairs what can be repaired, and the problems that remain after it.

    A repair can lay open the next one: a name that moves to another group takes its placeholder along.

    Args:
        snapshot: The checkout.
        problems: What was found in it.
        audited: Finds the problems of the checkout after edits.
    """
    whole = Plan()
    for _ in range(ROUNDS):
        plan = plan_fixes(snapshot, problems)
        if not plan:
            break
        whole = merge_plans(whole, plan)
        snapshot = snapshot.overlaid(plan.overlay())
        problems = audited(snapshot)
    return whole, problems


def plan_fixes(snapshot: Snapshot, problems: Sequence[Problem]) -> Plan:
    """The edits that repair what is fixable among ``problems``."""
    repairs = [each.repair for each in problems if each.repair is not None]
    editor = _Editor(snapshot)
    ordered = sorted(repairs, key=lambda repair: (_ORDER[repair.registry], -_line(problems, repair)))
    for repair in ordered:
        if repair.action in ("remove", "move"):
            editor.apply(repair)
    names = {repair.entry.object for repair in repairs if repair.action == "register"}
    if names:
        optional = [registry.NAME for registry in OPTIONAL]
        also = sorted({repair.registry for repair in repairs if repair.registry in optional})
        plan = register(snapshot.overlaid(editor.overlay()), also=also, only=names)
        editor.take(plan)
    for repair in ordered:
        if repair.action == "insert":
            editor.apply(repair)
    return editor.plan()


def _line(problems: Sequence[Problem], repair: Repair) -> int:
    return next((each.finding.line or 0 for each in problems if each.repair is repair), 0)


class _Editor:
    """Texts under repair, with plain line feeds; files with CRLF get theirs back."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.texts: dict[str, str] = {}
        self.entries: list[Registered] = []

    def read(self, path: str) -> str:
        if path not in self.texts:
            text = self.snapshot.read(path) or ""
            self.texts[path] = text.replace("\r\n", "\n") if _is_crlf(text) else text
        return self.texts[path]

    def apply(self, repair: Repair) -> None:
        registry = _BY_NAME[repair.registry]
        before = {path: self.read(path) for path in {repair.entry.path, (repair.old or repair.entry).path}}
        try:
            changed = self._changed(registry, repair, dict(before))
        except (ScaffoldError, SyntaxError, ValueError, IndexError):
            return
        if changed is not None:
            self.texts.update(changed)
            if repair.action == "insert":
                self.entries.append(Registered(repair.registry, repair.entry.object, repair.entry.path))

    def _changed(self, registry: Registry, repair: Repair, texts: dict[str, str]) -> dict[str, str] | None:
        """The texts after a repair, or None when it does not do what it should."""
        entry = self._completed(repair.entry)
        path, name = entry.path, entry.object
        counts = {each: _count(registry, text, name) for each, text in texts.items()}
        if repair.action == "remove":
            texts[path] = registry.remove(texts[path], entry)
            good = _count(registry, texts[path], name) == counts[path] - 1
        elif repair.action == "move":
            old = repair.old or entry
            texts[old.path] = registry.remove(texts[old.path], old)
            good = _count(registry, texts[old.path], name) == counts[old.path] - 1
            texts[path] = registry.insert(texts[path], entry)
            good = good and _count(registry, texts[path], name) == counts[path] + (old.path != path)
        else:
            texts[path] = registry.insert(texts[path], entry)
            good = _count(registry, texts[path], name) == 1
        for each, text in texts.items():
            if each.endswith(".py"):
                parse(text)
        return texts if good else None

    def _completed(self, entry: Entry) -> Entry:
        """A placeholder's entry with the backends and the order that the root has by now."""
        if entry.registry != dummy_objects.NAME:
            return entry
        root = self.read(f"{ROOT}/__init__.py")
        keys = [*init_reading.keys(root, "types"), *init_reading.keys(root, "structure")]
        beside = [key for key in keys if dummy_objects.path_of(root, key.suite) == entry.path]
        for key in beside:
            if key.holds(entry.object):
                guard = init_reading.installed(init_reading.guard_of(root, key.suite.backends))
                order = tuple(dict.fromkeys(name for one in beside for name in one.names))
                return replace(entry, backends=guard, order=order)
        return entry

    def overlay(self) -> dict[str, str]:
        return {path: self._restored(path, text) for path, text in self.texts.items() if self._is_changed(path)}

    def take(self, plan: Plan) -> None:
        for path, text in plan.overlay().items():
            self.texts[path] = text.replace("\r\n", "\n") if _is_crlf(text) else text
        self.entries.extend(plan.entries)

    def plan(self) -> Plan:
        builder = PlanBuilder()
        created: list[NewFile] = []
        for path, text in self.texts.items():
            before = self.snapshot.read(path)
            if before is not None:
                builder.edit(path, before, self._restored(path, text))
            elif text:
                created.append(NewFile(path, text))
        return Plan(new_files=tuple(created), edits=builder.edits(), entries=tuple(self.entries))

    def _restored(self, path: str, text: str) -> str:
        return text.replace("\n", "\r\n") if _is_crlf(self.snapshot.read(path) or "") else text

    def _is_changed(self, path: str) -> bool:
        return self._restored(path, self.texts[path]) != self.snapshot.read(path)


def _is_crlf(text: str) -> bool:
    return "\r" in text and text.count("\r\n") == text.count("\n")


def _count(registry: Registry, text: str, name: str) -> int:
    return sum(item.object == name for item in registry.listed(text))
