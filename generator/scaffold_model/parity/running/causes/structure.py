"""What the forward puts together: residuals, branches, conditioning, and the order of concatenation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..aligned import compare, layouts
from ..replay import Patch
from ..trace import Call, Visit, tensors_in
from .base import Context, Edit, Edits, after, giving, instead, numbers, operands, same_kind, taking
from .modulation import broadcast, unused
from .numbers_in import same_tensor

#: Calls whose results are what a residual is added to.
_ENDS_OF_BRANCHES = {
    "mul", "add", "linear", "to", "type_as", "dropout", "clone", "contiguous", "float", "getitem",
}  # fmt: skip


@dataclass(frozen=True)
class _Addend:
    """One part of a sum of the reference.

    Attributes:
        part: The part that the target may lack.
        kept: The other part.
        adding: The module in whose forward they are added.
    """

    part: torch.Tensor
    kept: torch.Tensor
    adding: str


def edits(context: Context) -> Edits:
    """Hypotheses on the structure."""
    yield from _concatenated(context)
    yield from _residuals(context)
    yield from _missing(context)


def _concatenated(context: Context) -> Edits:
    """The parts of a sequence: one of them another result, or all in the other order."""
    for call in context.suspects:
        if call.name != "cat" or context.of_position(call) or "param" not in call.roots:
            continue
        yield from _other_parts(context, call)
        group = same_kind(context, call)
        for calls in ([call], group) if len(group) > 1 and call is group[0] else ([call],):
            count = "" if len(calls) == 1 else f" and {len(calls) - 1} like it"
            told = f"the parts of {context.words(call)}{count} in the other order"
            patches = {each.index: taking(0, lambda parts: list(parts)[::-1]) for each in calls}
            yield Edit("concat-order", told, call.owner or "", patches, 3)


def _other_parts(context: Context, call: Call) -> Edits:
    """A result that nothing uses in the place of each part of its shape."""
    parts = call.args[0] if call.args and isinstance(call.args[0], (list, tuple)) else ()
    for index, part in enumerate(parts):
        for source, number in unused(context, context.until)[:20]:
            value = source.results[number]
            if value is None or value.ndim < 3 or not isinstance(part, torch.Tensor) or value.shape != part.shape:
                continue
            told = f"what {source.owner} gives and nothing uses as part {index + 1} of {context.words(call)}"
            yield Edit("branch-missing", told, call.owner or "", {call.index: _with_part(index, value)}, 3)


def _with_part(index: int, new: torch.Tensor) -> Patch:
    return taking(0, lambda parts: [*parts[:index], new, *parts[index + 1 :]])


def _streams(context: Context, shape: tuple[int, ...]) -> list[torch.Tensor]:
    """Tensors of a shape that the stage has: what its module takes, and what calls before gave."""
    found: dict[int, torch.Tensor] = {}
    for visit in context.around:
        for tensor in tensors_in((visit.args, visit.kwargs)):
            found.setdefault(id(tensor), tensor)
    low = context.around[-1].start if context.around else 0
    for call in context.target.calls.values():
        if low <= call.index < context.until and "param" in call.roots:
            for value in call.results:
                if value is not None:
                    found.setdefault(id(value), value)
    distinct: list[torch.Tensor] = []
    for value in found.values():
        if tuple(value.shape) == shape and not any(value.data_ptr() == other.data_ptr() for other in distinct):
            distinct.append(value)
    return distinct[:40]


def _residuals(context: Context) -> Edits:
    for call in context.suspects:
        yield from _other_operands(context, call)
        yield from _one_more_operand(context, call)
    yield from _other_input(context)


def _other_operands(context: Context, call: Call) -> Edits:
    """A sum of two tensors of one shape without either, or with another tensor of the block in the place of one."""
    tensors = operands(call)
    if call.name not in ("add", "sub") or len(tensors) != 2 or numbers(call):
        return
    values = [call.args[position] for position, _ in tensors]
    if values[0].shape != values[1].shape:
        return
    owner, words = call.owner or "", context.words(call)
    tag = "conditioning-missing" if context.conditioning(call) else "residual"
    for keep, leave in ((0, 1), (1, 0)):
        kept: Patch = lambda func, args, kwargs, at=tensors[keep][0]: args[at]
        yield Edit(tag, f"without operand {leave + 1} of {words}", owner, {call.index: kept}, 4)
    for (position, _), value in zip(tensors, values, strict=True):
        for other in _streams(context, call.shape):
            if other.data_ptr() not in (value.data_ptr(), _pointer(call)):
                told = f"another tensor of its block as operand {position + 1} of {words}"
                yield Edit("residual", told, owner, {call.index: giving(position, other)}, 6)


def _one_more_operand(context: Context, call: Call) -> Edits:
    """A result plus what its block takes."""
    value = call.results[0]
    if value is None or not value.is_floating_point() or value.ndim < 3 or call.name not in _ENDS_OF_BRANCHES:
        return
    if context.conditioning(call) or "param" not in call.roots:
        return
    for other in _streams(context, call.shape):
        if other.data_ptr() != value.data_ptr() and _taken(context, other):
            told = f"plus what its block takes, after {context.words(call)}"
            yield Edit("residual", told, _receiver(context, call), {call.index: after(_plus(other))}, 6)


def _other_input(context: Context) -> Edits:
    """Another tensor of the block as the input of the module at which the numbers part."""
    event, seen = context.event, context.place.seen
    if event is None or seen is None or seen.side != "in":
        return
    norm = "norm" in type(context.target.model.get_submodule(event.path)).__name__.lower()
    tag, rank = ("norm-order", 5) if norm else ("residual", 8)
    for other in _streams(context, tuple(event.taken.shape)):
        told = f"another tensor of its block as the input of {event.path}"
        yield Edit(tag, told, event.owner or "", {event.start: giving(0, other)}, rank, later=True)


def _plus(other: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda result: result + other


def _pointer(call: Call) -> int:
    value = call.results[0]
    return value.data_ptr() if value is not None else 0


def _taken(context: Context, tensor: torch.Tensor) -> bool:
    """Whether a tensor is an input of a module around, or a sum: what residuals come from."""
    for visit in context.around:
        if any(each is tensor for each in tensors_in((visit.args, visit.kwargs))):
            return True
    origin = context.target.origin(tensor)
    return isinstance(origin, tuple) and context.target.calls[origin[0]].name in (
        "add",
        "type_as",
        "to",
        "cat",
        "linear",
        "contiguous",
    )


def _receiver(context: Context, call: Call) -> str:
    """The module in whose forward a result arrives."""
    given = {id(value) for value in call.results if value is not None}
    inside = [visit for visit in context.target.visits if visit.start <= call.index < visit.end]
    around: Visit | None = inside[-1] if inside else None
    # A module's output is what the module around goes on with.
    while around is not None and around.path and any(id(each) in given for each in tensors_in(around.output)):
        around = around.parent
    return around.path if around else ""


def _missing(context: Context) -> Edits:
    """Sums of the reference one part of which the target does not have, and results that nothing uses."""
    idle = [each for each in unused(context, context.until) if each[0].index not in context.cleared]
    for source, number in idle[:20]:
        yield from _used(context, source, number)
    for addend in _addends(context):
        for call in context.suspects:
            yield from _added_before(context, call, addend)
        for call in context.suspects:
            yield from _added_after(context, call, addend)


def _used(context: Context, source: Call, number: int) -> Edits:
    """A result that nothing uses, added wherever it fits."""
    value = source.results[number]
    assert value is not None
    tag = "conditioning-missing" if context.conditioning(source) else "branch-missing"
    for call in context.suspects:
        fitting = broadcast(value, call.shape) if call.index != source.index else None
        if fitting is None or "param" not in call.roots or call.results[0] is None:
            continue
        told = f"plus what {source.owner} gives and nothing uses, after {context.words(call)}"
        yield Edit(tag, told, _shared(context, source, call), {call.index: after(_plus(fitting))}, 2)


def _added_before(context: Context, call: Call, addend: _Addend) -> Edits:
    """An input of the model with what the reference adds to it."""
    for position, origin in operands(call):
        value = call.args[position]
        is_it = not isinstance(origin, tuple) and value.shape == addend.kept.shape and torch.equal(value, addend.kept)
        if is_it and _broadcast_together(addend.part, value):
            told = f"plus what the reference adds there, before {context.words(call)}"
            patch = taking(position, _plus(addend.part))
            yield Edit("conditioning-missing", told, call.owner or "", {call.index: patch}, 3)


def _added_after(context: Context, call: Call, addend: _Addend) -> Edits:
    """A result that is one part of a sum of the reference, with the other part added."""
    value = call.results[0]
    if value is None or not value.is_floating_point() or "param" not in call.roots:
        return
    part, kept = addend.part, addend.kept
    if value.numel() != kept.numel() or value.shape[-1] != kept.shape[-1]:
        return
    compared = compare(kept, value)
    if compared is None or not compared.agrees:
        return
    put: torch.Tensor | None = None
    if part.shape != kept.shape:
        if part.ndim == value.ndim and part.shape[-1] == value.shape[-1] and kept.shape == value.shape:
            put = part
            tag = "conditioning-missing" if context.conditioning(call) else "branch-missing"
    else:
        usual = (compared.how, "as it is", "reshaped")
        put = next((laid for how, laid in layouts(part, tuple(value.shape)) if how in usual), None)
        if put is not None:
            tag = _tag_of_addend(context, call, put)
    if put is not None:
        told = f"plus what the reference adds there, after {context.words(call)}"
        yield Edit(tag, told, _where_added(context, addend.adding, call), {call.index: after(_plus(put))}, 3)


def _tag_of_addend(context: Context, call: Call, put: torch.Tensor) -> str:
    """What is forgotten: conditioning, a residual (the target has that tensor already), or a branch."""
    if call.results[0] is None or call.results[0].ndim < 3 or context.conditioning(call):
        return "conditioning-missing"
    return "residual" if _earlier(context, put, call) else "branch-missing"


def _broadcast_together(one: torch.Tensor, other: torch.Tensor) -> bool:
    try:
        torch.broadcast_shapes(tuple(one.shape), tuple(other.shape))
    except RuntimeError:
        return False
    return True


def _where_added(context: Context, adding: str, call: Call) -> str:
    """The module that stands for the one of the reference that adds, where the place is in it; else where it arrives."""
    for visit in context.target.visits:
        inside = visit.path and visit.start <= call.index < visit.end
        if inside and adding and context.pairing.counterpart(visit.path) == adding:
            arrives = _receiver(context, call)
            return arrives if arrives.startswith(visit.path + ".") else visit.path
    return _receiver(context, call)


def _earlier(context: Context, put: torch.Tensor, call: Call) -> bool:
    """Whether the target has a tensor already, as it has where a residual was forgotten."""
    for other in context.target.calls.values():
        if other.index < call.index:
            for value in other.results:
                if (
                    value is not None
                    and value.shape == put.shape
                    and float((value - put).abs().max()) <= 1e-4 * float(put.abs().max())
                ):
                    return True
    return any(
        tensor.shape == put.shape and torch.allclose(tensor, put, atol=1e-4)
        for visit in context.around
        for tensor in tensors_in((visit.args, visit.kwargs))
        if tensor.is_floating_point()
    )


def _shared(context: Context, source: Call, call: Call) -> str:
    """The smallest module in whose forward both a result that nothing uses and the place for it are at hand."""
    seen_in = _receiver(context, source)
    if not seen_in or call.owner == seen_in or (call.owner or "").startswith(seen_in + "."):
        return seen_in
    one, other = (_receiver(context, each) for each in (source, call))
    common: list[str] = []
    for left, right in zip(one.split("."), other.split("."), strict=False):
        if left != right:
            break
        common.append(left)
    shared = ".".join(common)
    while shared and not any(visit.path == shared for visit in context.target.visits):
        shared = shared.rpartition(".")[0]
    return shared


def _addends(context: Context) -> list[_Addend]:
    """Both parts of every sum of the reference, each once as the one that the target may lack."""
    found = []
    for call in context.reference.calls.values():
        if call.name == "add" and len(call.parents) == 2 and "param" in call.roots:
            tensors = [each for each in call.args[:2] if isinstance(each, torch.Tensor)]
            if len(tensors) == 2 and tensors[0].ndim == tensors[1].ndim >= 2 and tensors[0].is_floating_point():
                owner = call.owner or ""
                found += [_Addend(tensors[0], tensors[1], owner), _Addend(tensors[1], tensors[0], owner)]
    return found


def dropped(context: Context) -> Edits:
    """Calls left out, whatever they are: the last resort, which still names a place."""
    for call in context.suspects:
        value = call.results[0]
        taken = next(tensors_in(call.args), None)
        if (
            value is not None
            and taken is not None
            and value.shape == taken.shape
            and call.name in ("mul", "div")
            and numbers(call)
        ):
            yield Edit(
                "residual", f"without {context.words(call)}", call.owner or "", {call.index: instead(same_tensor)}, 7
            )
