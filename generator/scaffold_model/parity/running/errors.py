"""What a user can mend, told by the running half."""

from __future__ import annotations


class RunningError(Exception):
    """Something that the user can mend: what is wrong, where, and what to do next.

    Args:
        message: What is wrong, without a trailing full stop.
        path: The file concerned, if there is one.
        hint: What to do next.
    """

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint
