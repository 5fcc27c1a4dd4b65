"""What the forward puts together: residuals, branches, conditioning, order of concatenation and of patches, number of layers."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch

from ..aligned import compare, layouts
from ..replay import Patch
from ..trace import Call, Visit, tensors_in
from .base import Context, Edit, Edits, after, instead, numbers, operands, same_kind
from .modulation import broadcast, unused
from .norms import in_attention
from .numbers_in import same_tensor


def edits(context: Context) -> Edits:
    """Hypotheses on the structure."""
    yield from _concatenated(context)
    yield from _residuals(context)
    yield from _missing(context)
    yield from _patches(context)


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


def _patches(context: Context) -> Edits:
    """Axes read in another order where a sequence becomes a grid, and a grid becomes a sequence."""
    heads = any(each.name in ("softmax", "scaled_dot_product_attention") for each in context.suspects)
    for call in context.suspects:
        what = "head-layout" if heads or in_attention(context, call) else "patch-order"
        owner, words = call.owner or "", context.words(call)
        count = len(call.shape)
        if call.name in ("reshape", "view", "unflatten") and count >= 5:
            for size in (2, 3):
                for axes in itertools.combinations(range(1, count), size):
                    for order in itertools.permutations(axes):
                        if order != axes:
                            full = list(range(count))
                            for axis, new in zip(axes, order, strict=True):
                                full[axis] = new
                            yield Edit(
                                what,
                                f"axes {', '.join(map(str, axes))} read in the order {', '.join(map(str, order))} after {words}",
                                owner,
                                {call.index: after(_read_as(full))},
                                3 if size == 2 else 5,
                            )
            for axis in range(1, count):
                for to in range(1, count):
                    if abs(axis - to) > 1:
                        full = list(range(count))
                        full.insert(to, full.pop(axis))
                        yield Edit(
                            what,
                            f"axis {axis} read as axis {to} after {words}",
                            owner,
                            {call.index: after(_read_as(full))},
                            4,
                        )
        if call.name in ("permute", "movedim", "rearrange") and count >= 4:
            for one, other in itertools.combinations(range(1, count), 2):
                if call.shape[one] == call.shape[other]:
                    patch = after(lambda x, one=one, other=other: x.transpose(one, other))
                    yield Edit(what, f"axes {one} and {other} exchanged after {words}", owner, {call.index: patch}, 3)
            dims = (
                call.args[1:]
                if call.args[1:] and isinstance(call.args[1], int)
                else call.args[1]
                if len(call.args) > 1
                else ()
            )
            if isinstance(dims, (tuple, list)):
                for one, other in itertools.combinations(range(1, len(dims)), 2):
                    changed = list(dims)
                    changed[one], changed[other] = changed[other], changed[one]
                    yield Edit(
                        what,
                        f"permuted to {', '.join(map(str, changed))} in {words}",
                        owner,
                        {call.index: instead(lambda x, *_, dims=tuple(changed), **__: x.permute(dims))},
                        3,
                    )
        if call.name == "einsum" and count >= 4:
            for one, other in itertools.combinations(range(1, count), 2):
                if call.shape[one] == call.shape[other]:
                    yield Edit(
                        what,
                        f"axes {one} and {other} exchanged after {words}",
                        owner,
                        {call.index: after(lambda x, one=one, other=other: x.transpose(one, other))},
                        3,
                    )
        taken = next(tensors_in(call.args), None)
        if (
            call.name in ("flatten", "reshape", "view")
            and taken is not None
            and taken.ndim >= 4
            and count < taken.ndim
        ):
            for one, other in itertools.combinations(range(1, taken.ndim), 2):
                patch = lambda func, args, kwargs, one=one, other=other: _like(
                    args[0].transpose(one, other), func(*args, **kwargs)
                )
                yield Edit(what, f"axes {one} and {other} exchanged before {words}", owner, {call.index: patch}, 4)
        if call.name in ("transpose", "swapaxes") and taken is not None:
            yield Edit(
                what,
                f"without {words}, read as before",
                owner,
                {call.index: instead(lambda x, *a: x.reshape(x.transpose(*a).shape))},
                4,
            )


def _like(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return x.reshape(like.shape)


def _read_as(order: list[int]) -> Any:
    """Read memory as axes in another order, and put them back where the model expects them."""

    def change(x: torch.Tensor) -> torch.Tensor:
        shape = [x.shape[axis] for axis in order]
        back = sorted(range(len(order)), key=lambda index: order[index])
        return x.reshape(shape).permute(back)

    return change


def layers(context: Context) -> Edits:
    """Blocks that the target has and does not run, or runs twice."""
    target = context.target
    visited = [visit.path for visit in target.visits]
    modules = dict(target.model.named_modules())
    for path, module in modules.items():
        if type(module).__name__ != "ModuleList":
            continue
        names = [f"{path}.{name}" for name, _ in module.named_children()]
        yield from _lacking(context, path, names)
        ran = [name for name in names if name in visited]
        idle = [name for name in names if name not in visited and any(True for _ in modules[name].parameters())]
        reference_ran = {visit.path for visit in context.reference.visits}
        idle = [name for name in idle if (context.pairing.counterpart(name) or "") in reference_ran]
        parents = [visit.parent.path for visit in target.visits if visit.path in ran and visit.parent]
        owner = parents[0] if parents else path.rpartition(".")[0]
        if idle and ran:
            yield Edit(
                "layer-count",
                f"{', '.join(idle)}, which is not run, run in its place",
                owner,
                {},
                1,
                hooks=_running(names, idle, target.visits),
            )
        for name in ran:
            if visited.count(name) > 1 and len(
                {each for each in ran if visited.count(each) == visited.count(name)}
            ) < len(ran):
                inner = frozenset(each for each in modules if each == name or each.startswith(name + "."))
                yield Edit("layer-count", f"{name} run once", owner, {}, 2, inner, hooks=_once(name))


def _lacking(context: Context, path: str, names: list[str]) -> Edits:
    """Blocks that the weights are for and the target does not have, and the other way round."""
    lacking: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in context.unknown.items():
        if key.startswith(path + "."):
            index, _, rest = key[len(path) + 1 :].partition(".")
            if index.isdigit() and f"{path}.{index}" not in names:
                lacking.setdefault(index, {})[rest] = value
    visits = [visit for visit in context.target.visits if visit.path in names and visit.parent]
    owner = visits[0].parent.path if visits and visits[0].parent else path.rpartition(".")[0]
    if lacking and names:
        blocks = []
        for index in sorted(lacking, key=int):
            block = copy.deepcopy(context.target.model.get_submodule(names[-1]))
            if set(block.state_dict()) != set(lacking[index]):
                return
            block.load_state_dict(lacking[index])
            blocks.append(block)

        def put(model: torch.nn.Module) -> list[Any]:
            # A hook that is put on later runs later, on what the one before gave.
            last = model.get_submodule(names[-1])
            return [last.register_forward_hook(_then(block), with_kwargs=True) for block in blocks]

        shown = ", ".join(f"{path}.{index}" for index in sorted(lacking, key=int))
        yield Edit(
            "layer-count",
            f"{shown}, for which there are weights and no module, run after {names[-1]}",
            owner,
            {},
            1,
            hooks=put,
        )
    extra = [
        name
        for name in names
        if any(visit.path == name for visit in visits) and context.pairing.counterpart(name) is None
    ]
    extra = [name for name in extra if any(True for _ in context.target.model.get_submodule(name).parameters())]
    if extra and len(extra) < len(names):

        def skip(model: torch.nn.Module) -> list[Any]:
            return [model.get_submodule(name).register_forward_hook(_as_taken, with_kwargs=True) for name in extra]

        yield Edit(
            "layer-count",
            f"{', '.join(extra)}, for which there are no weights, left out",
            owner,
            {},
            1,
            frozenset(),
            skip,
        )


def _as_taken(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
    """What a block takes in place of what it gives."""
    taken = list(tensors_in((args, kwargs)))

    def put(value: torch.Tensor) -> torch.Tensor:
        for index, each in enumerate(taken):
            if each.shape == value.shape:
                return taken.pop(index)
        return value

    if isinstance(output, torch.Tensor):
        return put(output)
    return type(output)(put(each) if isinstance(each, torch.Tensor) else each for each in output)


def _running(names: list[str], idle: list[str], visits: list[Visit]) -> Any:
    """Hooks that run blocks after the one before them, on what that gives."""

    def put(model: torch.nn.Module) -> list[Any]:
        handles = []
        order = {name: index for index, name in enumerate(names)}
        for name in idle:
            index = order[name]
            before = [each for each in names[:index] if each not in idle]
            after_ = [each for each in names[index + 1 :] if each not in idle]
            if before:
                handles.append(
                    model.get_submodule(before[-1]).register_forward_hook(
                        _then(model.get_submodule(name)), with_kwargs=True
                    )
                )
            elif after_:
                handles.append(
                    model.get_submodule(after_[0]).register_forward_pre_hook(
                        _first(model.get_submodule(name)), with_kwargs=True
                    )
                )
        return handles

    return put


def _then(block: torch.nn.Module) -> Any:
    def hook(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        return block(*_fed(args, output), **_fed_named(args, kwargs, output))

    return hook


def _first(block: torch.nn.Module) -> Any:
    def hook(module: Any, args: Any, kwargs: Any) -> Any:
        output = block(*args, **kwargs)
        return _fed(args, output), _fed_named(args, kwargs, output)

    return hook


def _outputs(output: Any) -> list[torch.Tensor]:
    return list(tensors_in(output))


def _fed(args: Any, output: Any) -> tuple[Any, ...]:
    """A block's plain arguments, with its own outputs in place of those of their shapes."""
    outputs = _outputs(output)
    changed = list(args)
    for index, each in enumerate(changed):
        if isinstance(each, torch.Tensor):
            for number, value in enumerate(outputs):
                if value.shape == each.shape:
                    changed[index] = outputs.pop(number)
                    break
    return tuple(changed)


def _fed_named(args: Any, kwargs: Any, output: Any) -> dict[str, Any]:
    outputs = _outputs(output)
    for each in args:
        if isinstance(each, torch.Tensor):
            for number, value in enumerate(outputs):
                if value.shape == each.shape:
                    outputs.pop(number)
                    break
    changed = dict(kwargs)
    for key, each in changed.items():
        if isinstance(each, torch.Tensor) and each.ndim >= 3:
            for number, value in enumerate(outputs):
                if value.shape == each.shape:
                    changed[key] = outputs.pop(number)
                    break
    return changed


def _once(name: str) -> Any:
    def put(model: torch.nn.Module) -> list[Any]:
        kept: list[Any] = []

        def hook(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
            if kept:
                # What it took the second time is what it gave the first, so that the second run changes nothing.
                return kept[0]
            kept.append(output)
            return None

        return [model.get_submodule(name).register_forward_hook(hook, with_kwargs=True)]

    return put


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
