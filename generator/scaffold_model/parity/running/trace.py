"""The record of one forward pass: every call of a torch function and of a module, in order, with what each took and gave.

A call is identified by its number, which is the same in every run on the same inputs, so that a later run can change one
call (`replay`) and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

#: What the same operation is called as a method, an operator, in place or as a function.
_NAMES = {
    "__add__": "add", "__radd__": "add", "add_": "add", "__iadd__": "add",
    "__sub__": "sub", "sub_": "sub", "__isub__": "sub", "subtract": "sub", "__rsub__": "rsub",
    "__mul__": "mul", "__rmul__": "mul", "mul_": "mul", "__imul__": "mul", "multiply": "mul",
    "__truediv__": "div", "div_": "div", "__itruediv__": "div", "true_divide": "div", "divide": "div",
    "__rtruediv__": "rdiv", "__rdiv__": "rdiv", "__matmul__": "matmul", "__neg__": "neg", "negative": "neg",
    "__getitem__": "getitem", "__setitem__": "setitem", "__pow__": "pow", "__rpow__": "rpow", "pow_": "pow",
    "concat": "cat", "concatenate": "cat", "__invert__": "bitwise_not", "logical_not": "bitwise_not",
    "masked_fill_": "masked_fill", "__and__": "bitwise_and",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A tensor that no recorded call made: a parameter, a buffer, an input of the harness, or a constant.

    Attributes:
        kind: ``param``, ``buffer``, ``input`` or ``constant``.
        name: The parameter's, the buffer's or the input's name.
    """

    kind: str
    name: str


@dataclass
class Call:
    """One call of a torch function.

    Attributes:
        index: Its number.
        name: The operation, the same for function, method and operator.
        owner: The innermost module whose forward made it, or None where the harness did.
        args, kwargs: What it took; tensors are kept where the memory allows, else None stands for them.
        parents: What made each tensor that it took: the number of a call and of its result, or a source.
        results: The tensors that it gave, with None in place of what was not kept.
        shapes: Their shapes.
        roots: The names of the inputs that it depends on; ``param`` for weights, ``buffer`` for buffers.
        consumers: The numbers of the calls that took a result of it.
    """

    index: int
    name: str
    func: Any
    owner: str | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    parents: list[tuple[int, int] | Source]
    results: list[torch.Tensor | None]
    shapes: list[tuple[int, ...]]
    roots: frozenset[str]
    consumers: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its first result."""
        return self.shapes[0]


@dataclass
class Visit:
    """One forward of a module.

    Attributes:
        path: The module's name.
        number: How many forwards of the same module came before.
        start, end: The numbers of the first function call inside, and of the first one after.
        parent: The visit around it.
        args, kwargs, output: What it took and gave.
    """

    path: str
    number: int
    start: int
    parent: Visit | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    end: int = -1
    output: Any = None


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor in nested lists, tuples and dicts, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from tensors_in(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from tensors_in(each)


class Trace(TorchFunctionMode):  # type: ignore[misc]
    """Records a run of a model.

    Args:
        model: The model.
        inputs: The harness's inputs, by name.
        budget: How many bytes of results to keep; past it only shapes are.
        watch: Is told of each visit as it starts and ends, and of each call as it ends.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        budget: float = 2e9,
        watch: Any = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.calls: dict[int, Call] = {}
        self.visits: list[Visit] = []
        self.names = {id(parameter): name for name, parameter in model.named_parameters(remove_duplicate=False)}
        self.buffers = {id(buffer): name for name, buffer in model.named_buffers(remove_duplicate=False)}
        self.inputs = {id(value): key for key, value in inputs.items() if isinstance(value, torch.Tensor)}
        for key, value in inputs.items():
            for each in tensors_in(value):
                self.inputs.setdefault(id(each), key)
        self.names_of_arguments: dict[str, str] = {}
        self.ranks = {key: max((each.ndim for each in tensors_in(value)), default=0) for key, value in inputs.items()}
        self.sources: dict[int, torch.Tensor] = {}
        self.budget = budget
        self.watch = watch
        self.count = 0
        self._stack: list[Visit] = []
        self._numbers: dict[str, int] = {}

    # The tag of a tensor says which call made it. It is an attribute, since numbers of objects are used again.
    def origin(self, tensor: torch.Tensor) -> tuple[int, int] | Source:
        """What made a tensor."""
        tag = getattr(tensor, "_trace_tag", None)
        if tag is not None and tag[0] == id(self):
            return int(tag[1]), int(tag[2])
        if id(tensor) in self.names:
            return Source("param", self.names[id(tensor)])
        if id(tensor) in self.buffers:
            return Source("buffer", self.buffers[id(tensor)])
        if id(tensor) in self.inputs:
            return Source("input", self.inputs[id(tensor)])
        self.sources[id(tensor)] = tensor
        return Source("constant", str(id(tensor)))

    def roots(self, parents: list[tuple[int, int] | Source]) -> frozenset[str]:
        """The inputs behind parents."""
        found: set[str] = set()
        for parent in parents:
            if isinstance(parent, tuple):
                found |= self.calls[parent[0]].roots
            elif parent.kind == "input":
                found.add(parent.name)
            elif parent.kind in ("param", "buffer"):
                found.add(parent.kind)
        return frozenset(found)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        index = self.count
        self.count += 1
        name = getattr(func, "__name__", str(func))
        name = _NAMES.get(name, name)
        taken = list(tensors_in((args, kwargs)))
        parents = [self.origin(tensor) for tensor in _used(name, taken)]
        # What an operation in place destroys has to be read before.
        result = func(*args, **kwargs)
        made = [args[0]] if name == "setitem" else list(tensors_in(result))
        if not made:
            return result
        keep = self.budget > 0
        own = {id(tensor) for tensor in made}
        # An argument that the call itself changes is kept as it was only by a copy, which nobody needs.
        kept_args = args if keep else _without_tensors(args)
        call = Call(
            index, name, func, self._stack[-1].path if self._stack else None,
            kept_args, kwargs if keep else _without_tensors(kwargs),
            parents, [tensor if keep else None for tensor in made],
            [tuple(tensor.shape) for tensor in made], self.roots(parents),
        )  # fmt: skip
        for parent in parents:
            if isinstance(parent, tuple):
                self.calls[parent[0]].consumers.append(index)
        self.calls[index] = call
        for number, tensor in enumerate(made):
            # A call that gives back its argument (`.to` of the same dtype) makes nothing new.
            if id(tensor) in own and not (isinstance(tensor, torch.nn.Parameter) or id(tensor) in self.buffers):
                tensor._trace_tag = (id(self), index, number)
        if keep:
            taken_storages = {tensor.untyped_storage().data_ptr() for tensor in taken}
            for tensor in made:
                if tensor.untyped_storage().data_ptr() not in taken_storages:
                    self.budget -= tensor.numel() * tensor.element_size()
        if self.watch is not None:
            self.watch.called(call, made)
        return result

    @contextlib.contextmanager
    def recording(self) -> Iterator[Trace]:
        """Everything that the model does inside is recorded."""
        handles = []
        for path, module in self.model.named_modules():
            handles.append(module.register_forward_pre_hook(self._entering(path), with_kwargs=True))
            handles.append(module.register_forward_hook(self._leaving(path), with_kwargs=True, always_call=False))
        try:
            # Outside, since setting the mode of gradients is a call like others.
            with torch.no_grad(), self:
                yield self
        finally:
            for handle in handles:
                handle.remove()

    def _entering(self, path: str) -> Callable[..., None]:
        def enter(module: Any, args: Any, kwargs: Any) -> None:
            number = self._numbers.get(path, 0)
            self._numbers[path] = number + 1
            visit = Visit(path, number, self.count, self._stack[-1] if self._stack else None, args, dict(kwargs))
            if not path and not number:
                self._name_arguments(module, args, kwargs)
            self.visits.append(visit)
            self._stack.append(visit)
            if self.watch is not None:
                self.watch.entered(visit)

        return enter

    def _leaving(self, path: str) -> Callable[..., None]:
        def leave(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            visit = self._stack.pop()
            assert visit.path == path
            visit.end, visit.output = self.count, output
            if self.watch is not None:
                self.watch.left(visit)
            if self.budget <= 0:
                visit.args, visit.kwargs, visit.output = (), {}, None

        return leave

    def _name_arguments(self, module: Any, args: Any, kwargs: Any) -> None:
        """Remember what the model's forward calls the inputs that it is given."""
        import inspect

        with contextlib.suppress(TypeError, ValueError):
            bound = inspect.signature(module.forward).bind(*args, **kwargs)
            for argument, value in bound.arguments.items():
                for tensor in tensors_in(value):
                    origin = self.origin(tensor)
                    if isinstance(origin, tuple):
                        for root in self.calls[origin[0]].roots:
                            self.names_of_arguments.setdefault(root, argument)
                    elif origin.kind == "input":
                        self.names_of_arguments.setdefault(origin.name, argument)


#: These take dtype or shape of their second tensor, and no values.
_FORM_OF_SECOND = {"type_as", "view_as", "expand_as", "reshape_as", "to"}
_FORM_OF_FIRST = {"empty_like", "zeros_like", "ones_like", "rand_like", "randn_like", "full_like"}
_FORM_OF_FIRST |= {f"new_{kind}" for kind in ("zeros", "ones", "empty", "full", "tensor")}


def _used(name: str, taken: list[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors whose values a call uses."""
    if name in _FORM_OF_FIRST:
        return taken[1:]
    return taken[:1] if name in _FORM_OF_SECOND else taken


def _without_tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return None
    if isinstance(value, dict):
        return {key: _without_tensors(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_without_tensors(each) for each in value)
    if isinstance(value, list):
        return [_without_tensors(each) for each in value]
    return value
