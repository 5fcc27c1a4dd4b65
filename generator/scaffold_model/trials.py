"""What `register` would make of the checkout once a model's entries are gone, tried in memory before they go.

`register` decides from what it finds, and what is registered is a part of that: what its neighbours are, whether the
root has the users of an output, which suite a backend has. So an entry can be the only evidence for another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from .errors import BadInput, ScaffoldError
from .plan import Plan
from .registration import register
from .registries import OPTIONAL, REGISTRIES, Registry
from .scanning import Scanner
from .snapshot import Snapshot
from .stale import registry_paths

Fact = tuple[str, str, str, str, str, tuple[str, ...]]


def entries_of(
    snapshot: Snapshot,
    paths: Collection[str] | None = None,
    registries: Sequence[Registry] = (*REGISTRIES, *OPTIONAL),
) -> Iterator[Fact]:
    """All that registries list: registry, file, object, key, value and backends, in no order that matters."""
    for registry in registries:
        for path in registry_paths(registry, snapshot):
            for item in registry.listed(plain(snapshot.read(path) or "")) if paths is None or path in paths else ():
                key = " > ".join(item.key) if isinstance(item.key, tuple) else item.key
                # The title of a page is its own matter.
                value = "" if "/" in item.object else item.value
                yield registry.NAME, path, item.object, key, value, item.backends


def plain(text: str) -> str:
    """A text with CRLF throughout has plain line feeds while it is edited; one with mixed ends is edited as it is."""
    return text.replace("\r\n", "\n") if text.count("\r\n") == text.count("\n") else text


@dataclass(frozen=True)
class _Difference:
    """What the required registries list less and more than they do now."""

    lost: Counter[Fact]
    gained: Counter[Fact]


class Trials:
    """Finds the objects of a model that have to stay registered, so that all others come back as they are.

    Args:
        snapshot: The checkout.
        scanner: Its classes.
        take_out: The plan that takes the model out, but for the objects that are kept.
    """

    def __init__(self, snapshot: Snapshot, scanner: Scanner, take_out: Callable[[Collection[str]], Plan]) -> None:
        self._snapshot = snapshot
        self._scanner = scanner
        self._take_out = take_out
        self._kept: set[str] = set()
        self._evidence: dict[str, set[str]] = {}
        # How many objects the last trial has put elsewhere.
        self._moved = 0

    def settle(self) -> Plan:
        """The largest plan found after which `register` gives back all that it takes out, and nothing else."""
        while True:
            plan = self._take_out(self._kept)
            more = self._more(plan) if plan.entries else set()
            if not more:
                return plan
            self._kept |= more

    def notices(self) -> Iterator[str]:
        """What stays, and why."""
        lost = sorted(self._kept - self._evidence.keys())
        if lost:
            yield f"not taken out: {', '.join(lost)}; `register` could not tell the place from the code again"
        for name, others in sorted(self._evidence.items()):
            yield f"not taken out: {name}; without it `register` would list {', '.join(sorted(others))} otherwise than now"

    def _more(self, plan: Plan) -> set[str]:
        """The objects that have to stay too."""
        taken = dict.fromkeys(entry.object for entry in plan.entries)
        again = self._again(plan)
        if isinstance(again, ScaffoldError):
            if again.object in taken:
                return {again.object}
            raise BadInput(
                f"what is taken out could not be registered again: {again.message}",
                path=again.path,
                hint="take it out by hand, or the whole model with `scaffold-model remove`",
            )
        gone = {(entry.registry, entry.object) for entry in plan.entries}
        lost = {fact[2] for fact in again.lost if (fact[0], fact[2]) in gone}
        gained = self._gained(again)
        # What is listed in part now would be listed in full, which is no other place.
        moved = [name for name in taken if name in lost and name in gained]
        more = (lost | (gained & taken.keys())) - set(moved) | self._anchors(moved)
        return more or self._evidence_against(gained, list(taken))

    def _anchors(self, moved: list[str]) -> set[str]:
        """Of objects that would be put elsewhere, the one that may show the others their place; all where it does not."""
        did_not_help = len(moved) == self._moved - 1
        self._moved = 0 if did_not_help else len(moved)
        return set(moved if did_not_help else moved[:1])

    def _again(self, plan: Plan) -> _Difference | ScaffoldError:
        """What differs when everything is registered again, or why that can not be done."""
        without = self._snapshot.overlaid(plan.overlay())
        try:
            back = register(without)
        except ScaffoldError as error:
            return error
        return self._difference(without.overlaid(back.overlay()), plan, back)

    def _difference(self, after: Snapshot, *plans: Plan) -> _Difference:
        # What no plan edits lists what it listed.
        paths = {edit.path for plan in plans for edit in plan.edits}
        before, now = (Counter(entries_of(snapshot, paths, REGISTRIES)) for snapshot in (self._snapshot, after))
        return _Difference(before - now, now - before)

    @cached_property
    def _expected(self) -> Counter[Fact]:
        """What `register` adds to the checkout as it is: what other models lack is not of this one's doing."""
        plan = register(self._snapshot)
        return self._difference(self._snapshot.overlaid(plan.overlay()), plan).gained

    def _gained(self, again: _Difference) -> set[str]:
        """The objects that would be listed where they are not, and where `register` does not list them today."""
        return {fact[2] for fact in again.gained - self._expected} if again.gained else set()

    def _evidence_against(self, gained: set[str], taken: list[str]) -> set[str]:
        """A registered object that keeps the first of ``gained`` out, tried one by one, those that name it first."""
        if not gained:
            return set()
        name = min(gained)
        users = [each for each in taken if self._mentions(each, name)]
        for each in dict.fromkeys([*users, *taken]):
            again = self._again(self._take_out({*self._kept, each}))
            left = {name} if isinstance(again, ScaffoldError) else self._gained(again)
            if name not in left:
                self._evidence[each] = gained - left
                return {each}
        # No object alone is the reason.
        self._evidence.update({each: {name} for each in taken})
        return set(taken)

    def _mentions(self, name: str, other: str) -> bool:
        """Whether a file that defines ``name`` speaks of ``other``."""
        sites = self._scanner.sites.get(name, ())
        return any(other in (self._snapshot.read(site.path) or "") for site in sites)
