"""What the forward puts together: residuals, branches, conditioning, and the order of concatenation."""

from __future__ import annotations

import torch

from ..aligned import compare, layouts
from ..replay import Patch
from ..trace import Call, Visit, tensors_in
from .base import Context, Edit, Edits, after, instead, numbers, operands, same_kind
from .modulation import broadcast, unused
from .numbers_in import same_tensor


def edits(context: Context) -> Edits:
    """Hypotheses on the structure."""
    yield from _concatenated(context)
    yield from _residuals(context)
    yield from _missing(context)


def _concatenated(context: Context) -> Edits:
    for call in context.suspects:
        if call.name != "cat" or context.of_position(call) or "param" not in call.roots:
            continue
        for index, part in enumerate(call.args[0] if call.args and isinstance(call.args[0], (list, tuple)) else ()):
            for source, number in unused(context, context.until)[:20]:
                value = source.results[number]
                if (
                    value is not None
                    and isinstance(part, torch.Tensor)
                    and value.shape == part.shape
                    and value.ndim >= 3
                ):
                    put = lambda func, args, kwargs, at=index, new=value: func(
                        [new if each == at else old for each, old in enumerate(args[0])], *args[1:], **kwargs
                    )
                    yield Edit(
                        "branch-missing",
                        f"what {source.owner} gives and nothing uses as part {index + 1} of {context.words(call)}",
                        call.owner or "",
                        {call.index: put},
                        3,
                    )
        group = same_kind(context, call)
        for calls in ([call], group) if len(group) > 1 and call is group[0] else ([call],):
            patch = lambda func, args, kwargs: func(list(args[0])[::-1], *args[1:], **kwargs)
            count = "" if len(calls) == 1 else f" and {len(calls) - 1} like it"
            yield Edit(
                "concat-order",
                f"the parts of {context.words(call)}{count} in the other order",
                call.owner or "",
                {each.index: patch for each in calls},
                3,
            )


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
        owner, words = call.owner or "", context.words(call)
        tensors = operands(call)
        if call.name in ("add", "sub") and len(tensors) == 2 and not numbers(call):
            shapes = [call.args[position].shape for position, _ in tensors]
            if shapes[0] == shapes[1]:
                for keep, leave in ((0, 1), (1, 0)):
                    patch: Patch = lambda func, args, kwargs, at=tensors[keep][0]: args[at]
                    tag = "conditioning-missing" if context.conditioning(call) else "residual"
                    yield Edit(tag, f"without operand {leave + 1} of {words}", owner, {call.index: patch}, 4)
                for position, _ in tensors:
                    old = call.args[position]
                    for other in _streams(context, call.shape):
                        if other.data_ptr() != old.data_ptr() and other.data_ptr() != _pointer(call):
                            patch = lambda func, args, kwargs, at=position, new=other: func(
                                *[new if index == at else each for index, each in enumerate(args)], **kwargs
                            )
                            yield Edit(
                                "residual",
                                f"another tensor of its block as operand {position + 1} of {words}",
                                owner,
                                {call.index: patch},
                                6,
                            )
        value = call.results[0]
        if (
            value is None
            or not value.is_floating_point()
            or value.ndim < 3
            or context.conditioning(call)
            or "param" not in call.roots
        ):
            continue
        if call.name in (
            "mul",
            "add",
            "linear",
            "to",
            "type_as",
            "dropout",
            "clone",
            "contiguous",
            "float",
            "getitem",
        ):
            for other in _streams(context, call.shape):
                if other.data_ptr() != value.data_ptr() and _taken(context, other):
                    patch = after(lambda result, other=other: result + other)
                    yield Edit(
                        "residual",
                        f"plus what its block takes, after {words}",
                        _receiver(context, call),
                        {call.index: patch},
                        6,
                    )
    event = context.event
    if event is not None and context.place.seen is not None and context.place.seen.side == "in":
        norm = "norm" in type(context.target.model.get_submodule(event.path)).__name__.lower()
        for other in _streams(context, tuple(event.taken.shape)):
            patch = lambda func, args, kwargs, other=other: func(other, *args[1:], **kwargs)
            words = f"another tensor of its block as the input of {event.path}"
            yield Edit(
                "norm-order" if norm else "residual",
                words,
                event.owner or "",
                {event.start: patch},
                5 if norm else 8,
                later=True,
            )


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
    for source, number in [each for each in unused(context, context.until) if each[0].index not in context.cleared][
        :20
    ]:
        value = source.results[number]
        assert value is not None
        for call in context.suspects:
            fitting = broadcast(value, call.shape) if call.index != source.index else None
            if fitting is None or "param" not in call.roots or call.results[0] is None:
                continue
            tag = "conditioning-missing" if context.conditioning(source) else "branch-missing"
            patch = after(lambda result, v=fitting: result + v)
            words = f"plus what {source.owner} gives and nothing uses, after {context.words(call)}"
            yield Edit(tag, words, _shared(context, source, call), {call.index: patch}, 2)
    for part, kept, adding in _addends(context):
        for call in context.suspects:
            for position, origin in operands(call):
                value = call.args[position]
                if not isinstance(origin, tuple) and value.shape == kept.shape and torch.equal(value, kept):
                    try:
                        torch.broadcast_shapes(tuple(part.shape), tuple(value.shape))
                    except RuntimeError:
                        continue
                    patch = lambda func, args, kwargs, at=position, put=part: func(
                        *[each + put if index == at else each for index, each in enumerate(args)], **kwargs
                    )
                    yield Edit(
                        "conditioning-missing",
                        f"plus what the reference adds there, before {context.words(call)}",
                        call.owner or "",
                        {call.index: patch},
                        3,
                    )
        for call in context.suspects:
            value = call.results[0]
            if (
                value is None
                or value.numel() != kept.numel()
                or not value.is_floating_point()
                or "param" not in call.roots
            ):
                continue
            best = compare(kept, value) if kept.shape[-1] == value.shape[-1] else None
            if best is None or not best.agrees:
                continue
            if part.shape != kept.shape:
                if part.ndim == value.ndim and part.shape[-1] == value.shape[-1] and kept.shape == value.shape:
                    tag = "conditioning-missing" if context.conditioning(call) else "branch-missing"
                    patch = after(lambda result, put=part: result + put)
                    yield Edit(
                        tag,
                        f"plus what the reference adds there, after {context.words(call)}",
                        _where_added(context, adding, call),
                        {call.index: patch},
                        3,
                    )
                continue
            for how, put in layouts(part, tuple(value.shape)):
                if how in (best.how, "as it is", "reshaped"):
                    stream = value.ndim >= 3 and not context.conditioning(call)
                    tag = (
                        "branch-missing"
                        if stream and not _earlier(context, put, call)
                        else "residual"
                        if stream
                        else "conditioning-missing"
                    )
                    patch = after(lambda result, put=put: result + put)
                    yield Edit(
                        tag,
                        f"plus what the reference adds there, after {context.words(call)}",
                        _where_added(context, adding, call),
                        {call.index: patch},
                        3,
                    )
                    break


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


def _addends(context: Context) -> list[tuple[torch.Tensor, torch.Tensor, str]]:
    """Pairs of tensors that the reference adds, the part first that the target may lack, and where."""
    found = []
    for call in context.reference.calls.values():
        if call.name == "add" and len(call.parents) == 2 and "param" in call.roots:
            tensors = [each for each in call.args[:2] if isinstance(each, torch.Tensor)]
            if len(tensors) == 2 and tensors[0].ndim == tensors[1].ndim >= 2 and tensors[0].is_floating_point():
                owner = call.owner or ""
                found += [(tensors[0], tensors[1], owner), (tensors[1], tensors[0], owner)]
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
