"""What every hypothesis is made of: one change of one or a few calls, its tag, and the words for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from ..leaves import Event, Observation, Pairing
from ..replay import Patch
from ..trace import Call, Source, Trace, Visit, tensors_in

TAGS = (
    "modulation-order", "modulation-scale", "norm-order", "norm-eps", "norm-missing", "activation", "qk-norm",
    "rope-layout", "rope-precision", "rope-frequency", "rope-axes", "timestep-scale", "timestep-cast",
    "timestep-embedding", "guidance-scale", "conditioning-missing", "softmax-scale", "bias", "head-layout",
    "concat-order", "gate-branch", "weight-transposed", "weight-order", "residual", "layer-count", "mask-polarity",
    "mask-ignored", "branch-missing", "patch-order",
)  # fmt: skip


@dataclass
class Edit:
    """A hypothesis: with this change the module agrees.

    Attributes:
        tag: The cause.
        evidence: What was changed, as the object of "with".
        owner: The module whose own forward is changed.
        patches: What runs in place of which call.
        rank: Which of several that fit comes first; small for a change of one constant, large for one of structure.
        skips: Modules whose uses say nothing under this change.
        hooks: Hooks on modules, instead of patches.
        later: Whether it shows only in what the module with weights gives, since its input is what is changed.
    """

    tag: str
    evidence: str
    owner: str
    patches: dict[int, Patch] = field(default_factory=dict)
    rank: int = 5
    skips: frozenset[str] = frozenset()
    hooks: Any = None
    later: bool = False


@dataclass
class Place:
    """Where the numbers part first.

    Attributes:
        seen: The observation, or None where only the outputs of the model differ.
        expected: What was expected there.
        actual: What is there.
        output: Which output of the model, where ``seen`` is None.
    """

    seen: Observation | None
    expected: torch.Tensor
    actual: torch.Tensor
    output: int = 0


class Context:
    """What the hypotheses look at.

    Args:
        target, reference: The recorded runs.
        pairing: Which modules have their weights from where.
        observations: Every compared use of a module with weights.
        place: Where the numbers part.
        whole: What made the outputs of whole blocks that are known to agree.
    """

    def __init__(
        self,
        target: Trace,
        reference: Trace,
        pairing: Pairing,
        observations: list[Observation],
        place: Place,
        whole: set[tuple[int, int]],
    ) -> None:
        self.target, self.reference, self.pairing = target, reference, pairing
        self.observations, self.place = observations, place
        self.inputs: dict[str, Any] = {}
        self.unknown: dict[str, torch.Tensor] = {}
        self.outputs: list[torch.Tensor] = []
        #: The number of calls, the number at which the numbers part, and the forwards around that.
        self.ends = self.until = target.count
        self.around: list[Visit] = []
        self.stage_owner = ""
        self.trig: dict[int, bool] = {}
        for index, call in target.calls.items():
            above = any(isinstance(parent, tuple) and self.trig.get(parent[0], False) for parent in call.parents)
            self.trig[index] = above or call.name in ("cos", "sin", "polar", "complex")
        self.good = {
            origin
            for each in observations
            if each.side == "out" and each.compared.agrees and each.compared.how != "rolled"
            for origin in [target.origin(each.event.given)]
            if isinstance(origin, tuple)
        }
        self.good |= whole
        self.cleared: set[int] = set()
        for each in observations:
            if (
                each.compared.agrees
                and each.compared.how != "rolled"
                and (place.seen is None or each.at <= place.seen.at)
                and each.side == "in"
            ):
                self.cleared |= {call.index for call in self.behind(each.event.taken)}
        if place.seen is not None and place.seen.side == "out":
            event = place.seen.event
            begin = place.seen.event.given
        elif place.seen is not None:
            event, begin = place.seen.event, place.seen.event.taken
        else:
            event, begin = None, place.actual
        self.event: Event | None = event
        self.slice = self.behind(begin)
        #: The calls that may be wrong, in execution order. What has several results may have them in a wrong order,
        #: even though one of them arrived where it should.
        self.suspects = [
            call
            for call in self.slice
            if call.owner is not None and (call.index not in self.cleared or self._ends(call, begin))
        ]
        origin = target.origin(begin)
        self.roots = target.roots([origin])

    def _ends(self, call: Call, begin: torch.Tensor) -> bool:
        """Whether a call that is known to be right is the last such one: what is missing is missing after it."""
        inside = {each.index for each in self.slice}
        origin = self.target.origin(begin)
        if isinstance(origin, tuple) and origin[0] == call.index:
            return True
        return any(index in inside and index not in self.cleared for index in call.consumers)

    def behind(self, tensor: torch.Tensor) -> list[Call]:
        """The calls that a tensor comes from, back to where the target is known to agree, in execution order."""
        found: dict[int, Call] = {}
        waiting = [self.target.origin(tensor)]
        while waiting:
            origin = waiting.pop()
            if not isinstance(origin, tuple) or origin in self.good or origin[0] in found:
                continue
            call = self.target.calls[origin[0]]
            found[call.index] = call
            waiting += call.parents
        return [found[index] for index in sorted(found)]

    def words(self, call: Call) -> str:
        """A call, for a person."""
        return f"`{call.name}` of {call.owner or 'the model'}"

    def _named(self, roots: frozenset[str], pattern: str) -> bool:
        names = [root for root in roots if root not in ("param", "buffer")]
        return any(
            re.search(pattern, each, re.I)
            for root in names
            for each in (root, self.target.names_of_arguments.get(root, ""))
        )

    def of_guidance(self, roots: frozenset[str]) -> bool:
        """Whether something comes from the guidance scale alone."""
        return "param" not in roots and self._named(roots, r"guid|cfg")

    def of_time(self, roots: frozenset[str]) -> bool:
        """Whether something comes from the timestep alone."""
        return "param" not in roots and self._named(roots, r"time|sigma|noise_level|^ts?$|step")

    def of_position(self, call: Call) -> bool:
        """Whether a call is on the way of positions to rotary embeddings: no weights, no timestep, no latents."""
        if "param" in call.roots or self.of_time(call.roots) or self.of_guidance(call.roots):
            return False
        return (
            self.trig[call.index]
            or not call.roots - {"buffer"}
            or self._named(call.roots, r"ids?$|pos|coord|grid|freq|rot")
        )

    def conditioning(self, call: Call) -> bool:
        """Whether a call's result comes from no sequence: from timestep, guidance, pooled text and weights only."""
        return not any(self.target.ranks.get(root, 0) >= 3 for root in call.roots)

    def consumers(self, call: Call) -> list[Call]:
        """The calls that take a result."""
        return [self.target.calls[index] for index in call.consumers]


Edits = Iterator[Edit]
Maker = Callable[[Context], Edits]


def after(change: Callable[..., Any]) -> Patch:
    """A patch that changes what a call gives."""

    def patch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = func(*args, **kwargs)
        if result is None and args:
            # Writing to a part of a tensor gives nothing; the tensor itself is what goes on.
            args[0].copy_(change(args[0].clone()))
            return None
        return change(result)

    return patch


def instead(change: Callable[..., Any]) -> Patch:
    """A patch that calls something else with the same arguments."""

    def patch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return change(*args, **kwargs)

    return patch


def taking(position: int, change: Callable[[Any], Any]) -> Patch:
    """A patch that changes one argument of a call."""

    def patch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        changed = list(args)
        changed[position] = change(changed[position])
        return func(*changed, **kwargs)

    return patch


def giving(position: int, value: Any) -> Patch:
    """A patch that gives a call another value as one of its arguments."""
    return taking(position, lambda _: value)


def numbers(call: Call) -> list[tuple[int, float]]:
    """The plain numbers among a call's arguments, with their positions."""
    return [
        (position, float(value))
        for position, value in enumerate(call.args)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]


def operands(call: Call) -> list[tuple[int, tuple[int, int] | Source]]:
    """The positions of the tensors among a call's plain arguments, and what made them."""
    # A call that uses only the dtype of a tensor has no parent for it.
    if sum(1 for _ in tensors_in((call.args, call.kwargs))) != len(call.parents):
        return [
            (position, call.parents[0])
            for position, value in enumerate(call.args[:1])
            if isinstance(value, torch.Tensor) and call.parents
        ]
    found = []
    parents = iter(call.parents)
    for position, value in enumerate(call.args):
        taken = list(tensors_in(value))
        origins = [next(parents) for _ in taken]
        if isinstance(value, torch.Tensor):
            found.append((position, origins[0]))
    return found


def same_kind(context: Context, call: Call) -> list[Call]:
    """A call and those like it: of one operation, in one module, of shapes with as many axes."""
    return [
        each
        for each in context.suspects
        if each.name == call.name and each.owner == call.owner and len(each.shape) == len(call.shape)
    ]
