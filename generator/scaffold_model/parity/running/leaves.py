"""The modules that own weights, paired by what their weights are made of, and what each should take and give.

A target's ``to_q`` may be rows 0 to 255 of a reference's ``qkv``; then its output is compared with channels 0 to 255 of
the reference's output. So no name and no layout matters, and fused projections stand for their parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from .aligned import Compared, compare
from .provenance import Made
from .trace import Call, Source, Trace, Visit, tensors_in

_WITH_WEIGHTS = {"linear", "conv1d", "conv2d", "conv3d", "layer_norm", "rms_norm", "group_norm", "embedding"}


@dataclass
class Event:
    """One use of a module that owns weights.

    Attributes:
        path: The module.
        number: How many uses came before.
        start, end: The numbers of the first function call inside, and of the first one after.
        taken, given: Its input and its output, as they are.
        owner: The module that uses it.
    """

    path: str
    number: int
    start: int
    end: int
    taken: torch.Tensor
    given: torch.Tensor
    owner: str | None


@dataclass
class Observation:
    """What one side of a use should be, and is.

    Attributes:
        event: The use, in the target.
        side: ``in`` or ``out``.
        at: When it was, in numbers of function calls.
        expected: What the reference has there, in the layout of the target, channels last.
        compared: How far the target is from it.
        wanted: What the reference has there, in its own layout.
        reference: The reference's module.
    """

    event: Event
    side: str
    at: int
    expected: torch.Tensor
    compared: Compared
    wanted: torch.Tensor
    reference: str


def owner_of(key: str) -> str:
    """The module that owns a parameter."""
    return key.rpartition(".")[0]


def events(trace: Trace, modules: Iterable[str]) -> dict[str, list[Event]]:
    """Every use of some modules that own weights, by module, in order.

    A module whose weights are used by the one around it (`F.linear(x, self.inner.weight)`) is found by these calls.
    """
    wanted = set(modules)
    found: dict[str, list[Event]] = {}
    for visit in trace.visits:
        if visit.path in wanted and isinstance(visit.output, torch.Tensor):
            taken = next(tensors_in((visit.args, visit.kwargs)), None)
            if taken is not None:
                uses = found.setdefault(visit.path, [])
                user = visit.parent.path if visit.parent else None
                uses.append(Event(visit.path, len(uses), visit.start, visit.end, taken, visit.output, user))
    for call in trace.calls.values():
        if call.name not in _WITH_WEIGHTS or call.results[0] is None:
            continue
        for parent in call.parents:
            if isinstance(parent, Source) and parent.kind == "param":
                path = owner_of(parent.name)
                if path in wanted and (path not in found or found[path][0].owner == call.owner != path):
                    if path == call.owner:
                        continue
                    taken = next(tensors_in((call.args, call.kwargs)), None)
                    if taken is not None:
                        uses = found.setdefault(path, [])
                        uses.append(
                            Event(path, len(uses), call.index, call.index + 1, taken, call.results[0], call.owner)
                        )
                break
    return found


def channels_last(tensor: torch.Tensor, channels: int, weight: torch.Tensor) -> torch.Tensor | None:
    """A module's input or output with its channels as the last axis, or None where no axis fits."""
    if weight.ndim >= 3 and tensor.ndim == weight.ndim and tensor.shape[1] == channels:
        return tensor.movedim(1, -1)
    if tensor.shape[-1:] == (channels,):
        return tensor
    if tensor.ndim > 1 and tensor.shape[1] == channels:
        return tensor.movedim(1, -1)
    return None


def patches(tensor: torch.Tensor, weight: torch.Tensor) -> torch.Tensor | None:
    """The input of a convolution that cuts patches, as what each patch holds: (batch, *grid, channels * patch)."""
    size = tuple(weight.shape[2:])
    if tensor.ndim != weight.ndim or tensor.shape[1] != weight.shape[1]:
        return None
    if any(length % part for length, part in zip(tensor.shape[2:], size, strict=True)):
        return None
    shape: list[int] = list(tensor.shape[:2])
    for length, part in zip(tensor.shape[2:], size, strict=True):
        shape += [length // part, part]
    axes = len(size)
    order = [0, *(2 + 2 * axis for axis in range(axes)), 1, *(3 + 2 * axis for axis in range(axes))]
    return tensor.reshape(shape).permute(order).flatten(1 + axes)


class Pairing:
    """Which module of the reference each module of the target has its weights from.

    Args:
        made: What each parameter of the target is made of.
        target, reference: Both models.
    """

    def __init__(self, made: dict[str, Made], target: torch.nn.Module, reference: torch.nn.Module) -> None:
        self.made = made
        self.weights = dict(target.named_parameters(remove_duplicate=False))
        self.reference_weights = dict(reference.named_parameters(remove_duplicate=False))
        self.reference_weights.update(reference.named_buffers(remove_duplicate=False))
        self.keys: dict[str, str] = {}
        self.of: dict[str, list[str]] = {}
        for key, one in made.items():
            path = owner_of(key)
            for source in one.sources:
                self.of.setdefault(path, []).append(owner_of(source))
        for key in made:
            path = owner_of(key)
            ranks = [self.weights[each].ndim if each in self.weights else 0 for each in (self.keys.get(path, ""), key)]
            if path not in self.keys or ranks[1] > ranks[0]:
                self.keys[path] = key

    def counterpart(self, path: str) -> str | None:
        """The smallest module of the reference that holds everything that a module of the target is made of."""
        inside = [each for leaf, sources in self.of.items() if _within(leaf, path) for each in sources]
        if not inside:
            return None
        common = inside[0].split(".")
        for other in inside[1:]:
            parts = other.split(".")
            length = 0
            while length < min(len(common), len(parts)) and common[length] == parts[length]:
                length += 1
            common = common[:length]
        return ".".join(common)

    def observe(self, target: Trace, reference: Trace) -> list[Observation]:
        """Every use of a module with weights in the target beside what the reference has there, in execution order."""
        ours = events(target, self.keys)
        theirs = events(reference, {each for sources in self.of.values() for each in sources})
        found: list[Observation] = []
        for uses in ours.values():
            for use in uses:
                found += self._sides(use, len(uses), theirs)
        return sorted(found, key=lambda each: (each.at, each.side == "in"))

    def _sides(self, use: Event, count: int, theirs: dict[str, list[Event]]) -> list[Observation]:
        key = self.keys[use.path]
        made, weight = self.made[key], self.weights.get(key)
        if weight is None or not made.keys or not made.rows.numel():
            return []
        found = []
        paths = [owner_of(each) for each in made.keys]
        name = max(set(paths), key=paths.count)
        for side in ("in", "out"):
            best: Observation | None = None
            for choice in self._uses(paths, use.number, count, theirs):
                expected = self._expected(side, made, paths, choice, weight)
                actual = self._actual(side, use, weight)
                if expected is None or actual is None:
                    continue
                compared = compare(expected, actual)
                if compared is not None and (best is None or compared.relative < best.compared.relative):
                    at = use.start if side == "in" else use.end
                    best = Observation(use, side, at, compared.expected, compared, expected, name)
            if best is not None:
                found.append(best)
        return found

    def _uses(
        self, paths: list[str], number: int, count: int, theirs: dict[str, list[Event]]
    ) -> list[dict[str, Event]]:
        """Which use of the reference's modules goes with a use of the target's: the same one, or any if they are not as many."""
        names = set(paths)
        if any(name not in theirs for name in names):
            return []
        most = max(len(theirs[name]) for name in names)
        if most == count and all(len(theirs[name]) == count for name in names):
            return [{name: theirs[name][number] for name in names}]
        return [{name: theirs[name][min(index, len(theirs[name]) - 1)] for name in names} for index in range(most)]

    def _actual(self, side: str, use: Event, weight: torch.Tensor) -> torch.Tensor | None:
        return self.laid_out(side, use.taken if side == "in" else use.given, weight)

    def laid_out(self, side: str, tensor: torch.Tensor, weight: torch.Tensor) -> torch.Tensor | None:
        """What a module with a weight takes or gives, channels last, or None where it has another shape."""
        return channels_last(tensor, weight.shape[0], weight) if side == "out" else self._input(tensor, weight)

    def _input(self, tensor: torch.Tensor, weight: torch.Tensor) -> torch.Tensor | None:
        if weight.ndim == 1 or (weight.ndim > 1 and weight.numel() == weight.shape[0]):
            return channels_last(tensor, weight.shape[0], weight)
        if weight.ndim >= 3:
            return patches(tensor, weight)
        return channels_last(tensor, weight.shape[1], weight)

    def _expected(
        self, side: str, made: Made, paths: list[str], uses: dict[str, Event], weight: torch.Tensor
    ) -> torch.Tensor | None:
        if side == "in":
            source = self.reference_weights.get(made.keys[0])
            if source is None:
                return None
            tensor = self._input(uses[paths[0]].taken, source)
            if tensor is None:
                return None
            vector = source.numel() == source.shape[0]
            if weight.ndim >= 2 and made.kind == "transposed":
                # Both were square, or it would not have loaded: as if it were not transposed.
                return tensor
            return _select(tensor, made.rows if vector else made.columns)
        parts, start = [], 0
        rows = torch.arange(weight.shape[0]) if made.kind == "transposed" else made.rows
        for index in range(1, len(paths) + 1):
            if index == len(paths) or made.keys[index] != made.keys[start]:
                source = self.reference_weights.get(made.keys[start])
                tensor = None if source is None else channels_last(uses[paths[start]].given, source.shape[0], source)
                if tensor is None:
                    return None
                part = _select(tensor, rows[start:index])
                if part is None:
                    return None
                parts.append(part)
                start = index
        shapes = {tuple(part.shape[:-1]) for part in parts}
        return torch.cat(parts, dim=-1) if len(shapes) == 1 else None


def _select(tensor: torch.Tensor, indices: torch.Tensor) -> torch.Tensor | None:
    if not indices.numel() or int(indices.max()) >= tensor.shape[-1]:
        return None
    count = indices.numel()
    if count == tensor.shape[-1] and bool((indices == torch.arange(count)).all()):
        return tensor
    return tensor[..., indices.to(tensor.device)]


def _within(path: str, around: str) -> bool:
    return not around or path == around or path.startswith(around + ".")


def producer(trace: Trace, tensor: torch.Tensor) -> Call | None:
    """The call that made a tensor."""
    origin = trace.origin(tensor)
    return trace.calls[origin[0]] if isinstance(origin, tuple) else None


def visit_of(trace: Trace, path: str, at: int) -> Visit | None:
    """The forward of a module that was running, or had ended last, at a time."""
    inside = [each for each in trace.visits if each.path == path and each.start <= at]
    return inside[-1] if inside else None


def numel(shape: tuple[int, ...]) -> int:
    """The number of elements of a shape."""
    return math.prod(shape)
