"""Which diffusers and which Python `map` and `parity` use: said aloud, since both also work outside of any checkout."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ..checkout import ROOT_INIT, find_checkout
from ..command_line import progress as to_stderr
from ..errors import BadInput, NotACheckout
from ..pythons import find_python, missing_modules

#: The clone that `practice` and the tests keep.
CACHED = Path("~/.cache/scaffold-model/diffusers")


def diffusers_and_python(
    checkout_option: Path | None,
    python_option: str | None,
    progress: Callable[[str], None] = to_stderr,
    environ: Mapping[str, str] | None = None,
) -> tuple[Path | None, str]:
    """The checkout whose diffusers is used, and the Python that runs it.

    The diffusers is that of ``--checkout``, else of the checkout around the current folder, else of
    ``DIFFUSERS_CHECKOUT``, else what the Python has installed, else the clone in the cache folder.

    Args:
        checkout_option: What ``--checkout`` was given, if anything.
        python_option: What ``--python`` was given, if anything.
        progress: Is told which were chosen, a sentence.
        environ: The environment variables; those of this process by default.

    Returns:
        The checkout, or None where the Python's own diffusers is used, and the interpreter.

    Raises:
        NotACheckout: What was named is no checkout.
        BadInput: There is no Python, or no diffusers anywhere.
    """
    environ = os.environ if environ is None else environ
    checkout, reason = _named_checkout(checkout_option, environ)
    python = _python(python_option, checkout or Path.cwd(), environ)
    if checkout is None and missing_modules(python, ["diffusers"]):
        cached = CACHED.expanduser()
        if not (cached / ROOT_INIT).is_file():
            raise BadInput(
                f"no diffusers: this folder is in no checkout, and {python} has none installed",
                hint="name a clone of huggingface/diffusers with --checkout DIR, or an interpreter with --python PATH",
            )
        checkout, reason = find_checkout(cached), "the clone in the cache folder"
    used = f"diffusers of {checkout} ({reason})" if checkout else "the diffusers that the Python has installed"
    progress(f"Using {used}, run by {python}")
    return checkout, python


def _named_checkout(option: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, str]:
    if option is not None:
        return find_checkout(option), "--checkout"
    try:
        return find_checkout(Path.cwd()), "around the current folder"
    except NotACheckout:
        # Both commands also serve the repository of a reference, or no repository at all.
        pass
    named = environ.get("DIFFUSERS_CHECKOUT")
    return (find_checkout(Path(named)), "DIFFUSERS_CHECKOUT") if named else (None, "")


def _python(option: str | None, folder: Path, environ: Mapping[str, str]) -> str:
    """``--python``; without it the first that has torch, else the one that `find_python` takes, which is then refused."""
    if option is not None:
        return find_python(option, folder, environ)
    usual: str | None = None
    # scaffold-model runs in a Python, so there is one to try even where no other is found.
    with contextlib.suppress(BadInput):
        usual = find_python(None, folder, environ)
    for candidate in dict.fromkeys((usual, sys.executable, environ.get("SCAFFOLD_MODEL_PYTHON"))):
        if candidate and Path(candidate).is_file() and not missing_modules(candidate, ["torch"]):
            return candidate
    return usual or sys.executable
