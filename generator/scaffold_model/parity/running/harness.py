"""The harness: a file with six functions that build and run both sides.

``build_reference() -> nn.Module``, ``build_target() -> nn.Module``, ``make_inputs() -> dict``,
``run_reference(model, inputs)``, ``run_target(model, inputs)`` (a tensor or a tuple of tensors each) and
``convert(state_dict) -> dict``.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import RunningError

FUNCTIONS = ("build_reference", "build_target", "make_inputs", "run_reference", "run_target", "convert")


@dataclass
class Harness:
    """A loaded harness; every function of the file is called through it, so that a failure names file and function.

    Attributes:
        path: The file.
        module: The module that it was loaded as.
    """

    path: Path
    module: Any

    def call(self, function: str, *arguments: Any) -> Any:
        """What a function of the harness returns.

        Raises:
            RunningError: It raised; the message names it, the line of the harness and what was raised.
        """
        try:
            return getattr(self.module, function)(*arguments)
        except RunningError:
            raise
        except Exception as error:
            # The frame of the harness, where its author looks first, and not the one deep inside of a library.
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(self.path)]
            where = f" (line {frames[-1].lineno})" if frames else ""
            raise RunningError(
                f"{function}{where} raised {type(error).__name__}: {_one_line(error)}",
                path=str(self.path),
                hint="mend the harness, or what it calls",
            ) from error

    def has(self, function: str) -> bool:
        """Whether the file defines a function."""
        return callable(getattr(self.module, function, None))

    def outputs(self, function: str, model: Any, inputs: Any) -> tuple[Any, ...]:
        """What ``run_reference`` or ``run_target`` returns, as a tuple of tensors.

        Raises:
            RunningError: It raised, or returned something else.
        """
        import torch

        result = self.call(function, model, inputs)
        found = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        wrong = [type(value).__name__ for value in found if not isinstance(value, torch.Tensor)]
        if wrong or not found:
            raise RunningError(
                f"{function} returns {', '.join(wrong) or 'nothing'}, where a tensor or a tuple of tensors is needed",
                path=str(self.path),
                hint="return what is to be compared, such as `model(...)[0]`",
            )
        return found


def load_harness(path: Path, needed: tuple[str, ...] = FUNCTIONS) -> Harness:
    """Load a harness.

    Args:
        path: The file; its folder is on the path while it runs, as if it were a script.
        needed: The functions that must be there.

    Raises:
        RunningError: The file is missing, can not be imported, or lacks functions.
    """
    path = path.resolve()
    if not path.is_file():
        raise RunningError("is not there", path=str(path), hint="name an existing file with --harness FILE")
    spec = importlib.util.spec_from_file_location(f"harness_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise RunningError("is no Python file", path=str(path), hint="name a file that ends with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise RunningError(
            f"can not be imported: {type(error).__name__}: {_one_line(error)}",
            path=str(path),
            hint="run it with the same Python to see the whole error",
        ) from error
    harness = Harness(path, module)
    missing = [name for name in needed if not harness.has(name)]
    if missing:
        raise RunningError(
            f"lacks {', '.join(missing)}",
            path=str(path),
            hint=f"a harness defines {', '.join(FUNCTIONS)}",
        )
    return harness


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:500] if lines else "no message"
