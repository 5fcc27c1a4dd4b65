"""Blocks that are not run, are run twice, or are not there; and the hooks that mend it."""

from __future__ import annotations

import copy
from typing import Any

import torch

from ..trace import Visit, tensors_in
from .base import Context, Edit, Edits


def edits(context: Context) -> Edits:
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


def homeless(context: Context) -> tuple[str, list[str]] | None:
    """The blocks that there are weights for and no module, and the module that would run them; or None."""
    for path, module in context.target.model.named_modules():
        if type(module).__name__ == "ModuleList":
            known = {name for name, _ in module.named_children()}
            found = {key[len(path) + 1 :].partition(".")[0] for key in context.unknown if key.startswith(path + ".")}
            lacking = sorted((each for each in found - known if each.isdigit()), key=int)
            if lacking:
                return path.rpartition(".")[0], [f"{path}.{each}" for each in lacking]
    return None


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
