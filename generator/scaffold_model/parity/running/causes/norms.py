"""Norms: their epsilon, their place, and whether they are there at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from ..replay import Patch
from ..trace import Call, tensors_in
from . import eps
from .base import Context, Edit, Edits, after, instead
from .eps import NORMS
from .numbers_in import same_tensor


@dataclass
class Site:
    """A norm: one call, or the calls of one module.

    Attributes:
        calls: Its calls, in order.
        owner: The module that it belongs to, and that which uses it.
        apply: Applies it to a tensor.
        path: The module that it is, if it is one.
    """

    calls: list[Call]
    owner: str
    user: str
    apply: Callable[[torch.Tensor], torch.Tensor]
    path: str | None

    def without(self) -> dict[int, Patch]:
        """Patches with which it gives what it takes."""
        first, last = self.calls[0], self.calls[-1]
        if first is last:
            return {first.index: instead(same_tensor)}
        kept: list[torch.Tensor] = []

        def start(func: Any, args: Any, kwargs: Any) -> Any:
            kept[:] = [next(tensors_in((args, kwargs)))]
            return func(*args, **kwargs)

        def end(func: Any, args: Any, kwargs: Any) -> Any:
            return kept[0]

        return {first.index: start, last.index: end}


def sites(context: Context) -> list[Site]:
    """The norms among the suspects, and those whose output is known to agree but may be in the wrong place."""
    found: list[Site] = []
    trace = context.target
    indices = {call.index for call in context.suspects}
    users = {}
    for visit in trace.visits:
        users[visit.path] = visit.parent.path if visit.parent else ""
        module = trace.model.get_submodule(visit.path)
        inside = [trace.calls[index] for index in range(visit.start, visit.end) if index in trace.calls]
        if not inside or inside[-1].index not in indices or "norm" not in type(module).__name__.lower():
            continue
        if any(True for _ in module.children()) or not isinstance(visit.output, torch.Tensor):
            continue
        if len(list(tensors_in((visit.args, visit.kwargs)))) != 1:
            continue
        found.append(Site(inside, visit.path, users[visit.path], module, visit.path))
    covered = {call.index for site in found for call in site.calls}
    for call in context.suspects:
        if call.name in NORMS and call.index not in covered:

            def apply(x: torch.Tensor, call: Call = call) -> torch.Tensor:
                return call.func(x, *call.args[1:], **call.kwargs)

            found.append(Site([call], call.owner or "", call.owner or "", apply, None))
    return found


def edits(context: Context) -> Edits:
    """Hypotheses on norms."""
    yield from eps.edits(context)
    known = sites(context)
    for site in known:
        tag = tag_of(context, site.calls[-1], "norm-missing")
        yield Edit(tag, f"without the norm {site.owner}", site.user, site.without(), 4)
        yield from _other_kind(context, site)
    yield from _moves(context, known)
    yield from _siblings(context)
    yield from _inserted(context)


def in_attention(context: Context, call: Call) -> bool:
    """Whether a call's result is a query or a key, seen from there to the attention."""
    waiting, seen = [call.index], set()
    for _ in range(400):
        if not waiting:
            return False
        index = waiting.pop()
        if index in seen:
            continue
        seen.add(index)
        each = context.target.calls[index]
        if each.name in ("scaled_dot_product_attention", "softmax", "baddbmm", "multi_head_attention_forward"):
            return True
        if (each.name != "linear" and not each.name.startswith("conv") and each.name != "add") or (
            each.name == "add" and len(each.shape) == 4
        ):
            waiting += each.consumers
    return False


def tag_of(context: Context, call: Call, otherwise: str) -> str:
    """The tag of what is wrong with a norm: that of queries and keys has one of its own."""
    return "qk-norm" if in_attention(context, call) else otherwise


def user_of(context: Context, call: Call) -> str:
    """The module in whose forward a result is used next; that around it, where it is one with weights of its own."""
    inside = {each.index for each in context.slice}
    users = [context.target.calls[index] for index in call.consumers if index in inside] or (
        [context.target.calls[index] for index in call.consumers]
    )
    if not users:
        return call.owner or ""
    owner = users[-1].owner or ""
    leaf = not any(True for _ in context.target.model.get_submodule(owner).children())
    if leaf and owner in context.pairing.keys:
        return owner.rpartition(".")[0]
    return owner


def _other_kind(context: Context, site: Site) -> Edits:
    call = site.calls[-1]
    width = call.shape[-1]
    tag = tag_of(context, call, "norm-missing")
    if call.name == "rms_norm":
        swapped = instead(lambda x, shape, weight=None, eps=None: F.layer_norm(x, shape, weight, None, eps or 1e-6))
        yield Edit(tag, f"a layer norm in place of {context.words(call)}", site.owner, {call.index: swapped}, 3)
    elif call.name == "layer_norm":
        swapped = instead(lambda x, shape, weight=None, bias=None, eps=1e-6: F.rms_norm(x, shape, weight, eps))
        yield Edit(
            tag,
            f"an RMS norm in place of {context.words(call)} over {width} channels",
            site.owner,
            {call.index: swapped},
            3,
        )


def _moves(context: Context, known: list[Site]) -> Edits:
    """Each norm, alone and with its like, applied elsewhere."""
    below = {id(site): _reached(context, site.calls[-1]) for site in known}
    groups = [[site] for site in known]
    for user in {site.user for site in known}:
        group = [site for site in known if site.user == user]
        if 1 < len(group) <= 4:
            groups.append(group)
    for group in groups:
        yield from _moved_down(context, group, below)
        if len(group) == 1:
            yield from _moved_up(context, group[0])
        elif len(group) == 2:
            yield from _exchanged(*group)


def _moved_down(context: Context, group: list[Site], below: dict[int, list[int]]) -> Edits:
    """Norms applied later, each at the same step of the way that it alone leads."""
    without: dict[int, Patch] = {}
    for site in group:
        without.update(site.without())
    width = group[0].calls[-1].shape[-1]
    exclusive = []
    for site in group:
        others = {index for other in group if other is not site for index in below[id(other)]}
        chain = [index for index in below[id(site)] if index not in others]
        exclusive.append([index for index in chain if _fits(context.target.calls[index].shape, width)])
    names = ", ".join(site.owner for site in group)
    for steps in zip(*exclusive, strict=False):
        patches = dict(without)
        patches.update({index: after(_flat(site.apply, width)) for site, index in zip(group, steps, strict=True)})
        told = f"{names} after {context.words(context.target.calls[steps[0]])}"
        yield Edit("norm-order", told, group[0].user, patches, 4)


def _moved_up(context: Context, site: Site) -> Edits:
    """A norm applied to something that what it takes is made of."""
    first = site.calls[0]
    above = _above(context, first)
    for call in context.suspects:
        if call.index < first.index and call.index in above and call.shape[-1:] == site.calls[-1].shape[-1:]:
            patches = {**site.without(), call.index: after(site.apply)}
            yield Edit("norm-order", f"{site.owner} after {context.words(call)}", site.user, patches, 4)


def _exchanged(one: Site, other: Site) -> Edits:
    """Two norms, each in the place of the other."""
    if one.calls[-1].shape[-1:] == other.calls[-1].shape[-1:]:
        patches = {**_replaced(one, other.apply), **_replaced(other, one.apply)}
        yield Edit("norm-order", f"{one.owner} and {other.owner} exchanged", one.user, patches, 4)


def _replaced(site: Site, apply: Callable[[torch.Tensor], torch.Tensor]) -> dict[int, Patch]:
    """Something else in place of a norm: what its first call takes is kept, and its last call gives the result."""
    kept: list[torch.Tensor] = []

    def first_call(func: Any, args: Any, kwargs: Any) -> Any:
        kept[:] = [next(tensors_in((args, kwargs)))]
        return func(*args, **kwargs)

    def last_call(func: Any, args: Any, kwargs: Any) -> Any:
        return apply(next(tensors_in((args, kwargs))) if len(site.calls) == 1 else kept[0])

    return {site.calls[0].index: first_call, site.calls[-1].index: last_call}


def _fits(shape: tuple[int, ...], width: int) -> bool:
    """Whether a norm over some channels can be applied, be they one axis or heads and their channels."""
    return shape[-1:] == (width,) or (len(shape) >= 4 and shape[-1] * shape[-2] == width)


def _flat(apply: Callable[[torch.Tensor], torch.Tensor], width: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: apply(x) if x.shape[-1] == width else apply(x.flatten(-2)).reshape(x.shape)


def _siblings(context: Context) -> Edits:
    """Other norms of the module around: in place of one, or where there is none."""
    for visit in context.around[:3]:
        module = context.target.model.get_submodule(visit.path)
        norms = [(name, child) for name, child in module.named_children() if "norm" in type(child).__name__.lower()]
        used = {each.path for each in context.target.visits}
        for name, child in norms:
            path = f"{visit.path}.{name}".lstrip(".")
            tag = "norm-order" if path in used else "norm-missing"
            for site in sites(context):
                if site.user == visit.path and site.path != path:
                    patches = site.without()
                    last = site.calls[-1].index
                    kept = patches[last]
                    patches[last] = lambda func, args, kwargs, kept=kept, child=child: child(kept(func, args, kwargs))
                    yield Edit("norm-order", f"{path} in place of {site.owner}", visit.path, patches, 3)
            for call in context.suspects:
                if (
                    call.index >= visit.start
                    and call.results[0] is not None
                    and call.results[0].is_floating_point()
                    and "param" in call.roots
                ):
                    yield Edit(
                        tag_of(context, call, tag) if tag == "norm-missing" else tag,
                        f"{path} after {context.words(call)}",
                        visit.path,
                        {call.index: after(child)},
                        4 if path in used else 3,
                    )
            event = context.event
            if (
                event is not None
                and event.owner is not None
                and context.place.seen is not None
                and context.place.seen.side == "in"
            ):
                patch = lambda func, args, kwargs, child=child: func(child(args[0]), *args[1:], **kwargs)
                yield Edit(
                    tag,
                    f"{path} before {event.path}",
                    visit.path,
                    {event.start: patch},
                    4 if path in used else 3,
                    later=True,
                )


def _reached(context: Context, call: Call) -> list[int]:
    """The suspects that a result flows into, in order, up to where the numbers part."""
    inside = {each.index for each in context.suspects}
    found: set[int] = set()
    waiting = list(call.consumers)
    while waiting:
        index = waiting.pop()
        if index in inside and index not in found:
            found.add(index)
            waiting += context.target.calls[index].consumers
    return sorted(found)


def _above(context: Context, call: Call) -> set[int]:
    found: set[int] = set()
    waiting = [parent[0] for parent in call.parents if isinstance(parent, tuple)]
    inside = {each.index for each in context.suspects}
    while waiting:
        index = waiting.pop()
        if index in inside and index not in found:
            found.add(index)
            waiting += [parent[0] for parent in context.target.calls[index].parents if isinstance(parent, tuple)]
    return found


def _inserted(context: Context) -> Edits:
    """A norm without weights where there is none."""
    for call in context.suspects:
        value = call.results[0]
        if (
            value is None
            or not value.is_floating_point()
            or value.ndim < 2
            or value.shape[-1] < 4
            or call.name in NORMS
        ):
            continue
        if "param" not in call.roots:
            continue
        tag = tag_of(context, call, "norm-missing")
        for name, apply in (
            ("layer norm", lambda x: F.layer_norm(x, x.shape[-1:], eps=1e-6)),
            ("RMS norm", lambda x: F.rms_norm(x, x.shape[-1:], eps=1e-6)),
        ):
            yield Edit(
                tag, f"a {name} after {context.words(call)}", user_of(context, call), {call.index: after(apply)}, 6
            )
    event = context.event
    if event is not None and context.place.seen is not None and context.place.seen.side == "in":
        for name, apply in (
            ("layer norm", lambda x: F.layer_norm(x, x.shape[-1:], eps=1e-6)),
            ("RMS norm", lambda x: F.rms_norm(x, x.shape[-1:], eps=1e-6)),
        ):

            def patch(func: Any, args: Any, kwargs: Any, apply: Any = apply) -> Any:
                return func(apply(args[0]), *args[1:], **kwargs)

            yield Edit(
                "norm-missing", f"a {name} before {event.path}", event.owner or "", {event.start: patch}, 6, later=True
            )
