"""The errors that a user can cause; the command line alone catches them and exits with code 2."""

from __future__ import annotations


class ScaffoldError(Exception):
    """Something that the user can mend: what, where, and what to do next, on one line.

    Args:
        message: What is wrong, without a trailing full stop.
        path: The file concerned, relative to the checkout, if there is one.
        hint: What to do next.

    Attributes:
        object: What could not be registered, where one entry is concerned.
    """

    object: str | None = None

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint

    @property
    def line(self) -> str:
        """The whole error as one line: ``path: message; hint``."""
        where = f"{self.path}: " if self.path else ""
        then = f"; {self.hint}" if self.hint else ""
        return f"{where}{self.message}{then}".replace("\n", " ")


class BadInput(ScaffoldError):
    """An answer or an option that can not be used."""


class NotACheckout(ScaffoldError):
    """The folder is not a checkout of diffusers, or not one that is supported."""


class AnchorNotFound(ScaffoldError):
    """A registry lacks the statement at which an entry has to be inserted."""

    def __init__(self, path: str, anchor: str) -> None:
        super().__init__(
            f"{anchor} was not found",
            path=path,
            hint="restore that statement (`git diff` shows local changes), or report it if the file is untouched",
        )
        self.anchor = anchor


class BrokenFile(ScaffoldError):
    """A file that must be edited can not be read: a syntax error, merge markers, an unknown encoding."""


class CopySourceError(ScaffoldError):
    """A ``# Copied from`` header that can not be filled from this checkout."""


class Stopped(ScaffoldError):
    """The user has stopped the run, with Ctrl-C or by closing the terminal."""
