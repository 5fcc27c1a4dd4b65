"""Running a part of the target again, on the inputs that it had, with some calls changed."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from .trace import Visit, tensors_in

#: Takes the function, its arguments and its keyword arguments, and gives the result that the model goes on with.
Patch = Callable[..., Any]


class Reached(BaseException):
    """What was to be seen has been seen. No `Exception`, so that nothing on the way catches it."""


class Replay(TorchFunctionMode):  # type: ignore[misc]
    """Counts calls as `trace.Trace` does, and runs patches in place of the calls that they are for."""

    def __init__(self, start: int, patches: Mapping[int, Patch], last: int | None = None) -> None:
        super().__init__()
        self.count = start
        self.patches = patches
        self.last = last
        self.seen: dict[int, Any] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        index = self.count
        self.count += 1
        if self.last is not None and index > self.last:
            raise Reached
        patch = self.patches.get(index)
        return patch(func, args, kwargs or {}) if patch is not None else func(*args, **(kwargs or {}))


class Point:
    """Where a replay looks: the input or the output of one forward of a module.

    Args:
        path: The module.
        number: Which of its forwards in the run it is.
        side: ``in`` or ``out``.
    """

    def __init__(self, path: str, number: int, side: str) -> None:
        self.path, self.number, self.side = path, number, side


class Stage:
    """The part of the target that is run again: the whole, or one forward of a module.

    Args:
        model: The target.
        run: Runs the whole of it and returns its outputs.
        visit: The forward to run again, or None for the whole.
        visits: All forwards of the recorded run.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        run: Callable[[], tuple[torch.Tensor, ...]],
        visit: Visit | None,
        visits: list[Visit],
    ) -> None:
        self.model, self.visit = model, visit
        self._run = run
        self.visits = visits
        self.start = visit.start if visit else 0
        #: How often each module had run before.
        self.before: dict[str, int] = {}
        if visit:
            for each in visits:
                if each is visit:
                    break
                self.before[each.path] = self.before.get(each.path, 0) + 1

    def whole(self) -> Stage:
        """The stage that is all of the model."""
        return Stage(self.model, self._run, None, self.visits)

    def run(
        self, patches: Mapping[int, Patch], points: list[Point], *, hooks: Any = None, stop: bool = True
    ) -> dict[int, Any]:
        """What is at some points, by the index of the point, and the outputs under -1.

        Args:
            patches: What to run in place of calls, by their number.
            points: Where to look.
            hooks: Puts hooks on modules for the time of the run, and returns their handles.
            stop: Whether to stop as soon as every point was seen.

        Raises:
            Exception: The changed model can not run.
        """
        seen: dict[int, Any] = {}
        with self._watching(points, seen, stop), torch.no_grad():
            handles = hooks(self.model) if hooks else []
            replay = Replay(self.start, patches)
            kept = {} if hooks else self._kept(min(patches, default=0), {point.path for point in points})
            originals = {path: self.model.get_submodule(path).forward for path in kept}
            numbers = dict(self.before)

            def again(path: str, *args: Any, **kwargs: Any) -> Any:
                number = numbers[path] = numbers.get(path, 0) + 1
                visit = kept[path].get(number - 1)
                if visit is None:
                    return originals[path](*args, **kwargs)
                replay.count = visit.end
                return visit.output

            for path in kept:
                self.model.get_submodule(path).forward = functools.partial(again, path)
            try:
                with contextlib.suppress(Reached), replay:
                    if self.visit is None:
                        seen[-1] = self._run()
                    else:
                        module = self.model.get_submodule(self.visit.path)
                        seen[-1] = module(*self.visit.args, **self.visit.kwargs)
            finally:
                for handle in handles:
                    handle.remove()
                for path in kept:
                    # The forward of the class, which the attribute had hidden.
                    del self.model.get_submodule(path).forward
        return seen

    def _kept(self, first: int, looked_at: set[str]) -> dict[str, dict[int, Visit]]:
        """The forwards that end before anything is changed, whose outputs need not be computed again."""
        found: dict[str, dict[int, Visit]] = {}
        end = self.start
        for visit in self.visits:
            inside = self.visit is None or (visit.start >= self.start and visit.end <= self.visit.end)
            if not inside or not visit.path or visit is self.visit or visit.start < end or visit.end > first:
                continue
            if (
                visit.output is None
                or "forward" in vars(self.model.get_submodule(visit.path))
                or visit.end <= visit.start
            ):
                continue
            if any(path == visit.path or path.startswith(visit.path + ".") for path in looked_at):
                continue
            found.setdefault(visit.path, {})[visit.number] = visit
            end = visit.end
        return found

    @contextlib.contextmanager
    def _watching(self, points: list[Point], seen: dict[int, Any], stop: bool) -> Iterator[None]:
        handles = []
        numbers = dict(self.before)
        last = {point.path for point in points}
        ends = stop and bool(points)

        def enter(path: str) -> Callable[..., None]:
            def hook(module: Any, args: Any, kwargs: Any) -> None:
                number = numbers[path] = numbers.get(path, 0) + 1
                for index, point in enumerate(points):
                    if point.path == path and point.number == number - 1 and point.side == "in":
                        seen[index] = next(tensors_in((args, kwargs)), None)
                if ends and len(seen) == len(points):
                    raise Reached

            return hook

        def leave(path: str) -> Callable[..., None]:
            def hook(module: Any, args: Any, kwargs: Any, output: Any) -> None:
                for index, point in enumerate(points):
                    if point.path == path and point.number == numbers[path] - 1 and point.side == "out":
                        seen[index] = next(tensors_in(output), None)
                if ends and len(seen) == len(points):
                    raise Reached

            return hook

        try:
            for path in last:
                module = self.model.get_submodule(path)
                handles.append(module.register_forward_pre_hook(enter(path), with_kwargs=True))
                handles.append(module.register_forward_hook(leave(path), with_kwargs=True))
            yield
        finally:
            for handle in handles:
                handle.remove()
