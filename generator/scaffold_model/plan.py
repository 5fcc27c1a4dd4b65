"""What is to be changed, as data: nothing in this module touches the disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal[
    "model", "scheduler", "pipeline", "modular pipeline", "blocks", "LoRA mixin", "loader mixin", "quantization"
]
Severity = Literal["error", "warning", "hint"]


@dataclass(frozen=True, order=True)
class Export:
    """One object that must be registered.

    Attributes:
        name: The class name, ``FooTransformer2DModel``.
        path: The file that defines it, relative to the checkout, ``src/diffusers/models/transformers/transformer_foo.py``.
        kind: What it is; decides which registries must list it.
        backends: The backend group of the root registries, ``("torch",)`` or ``("torch", "transformers")``.
    """

    name: str
    path: str
    kind: Kind
    backends: tuple[str, ...]


@dataclass(frozen=True)
class Registered:
    """One entry that a plan adds: ``object`` in ``registry``, which lives in ``path``.

    Where the registry may list an object several times, ``key`` says under which key.
    """

    registry: str
    object: str
    path: str
    key: str = ""


@dataclass(frozen=True)
class Edit:
    """A change of an existing file."""

    path: str
    before: str
    after: str


@dataclass(frozen=True)
class NewFile:
    """A file that must not exist yet."""

    path: str
    text: str


@dataclass(frozen=True)
class RemovedFile:
    """A file that goes; ``before`` is what it must hold then."""

    path: str
    before: str


@dataclass(frozen=True)
class Finding:
    """Something missing, misplaced or contradictory."""

    registry: str
    object: str
    path: str
    line: int | None
    message: str
    severity: Severity
    fixable: bool


@dataclass(frozen=True)
class Plan:
    """Edits, new and removed files, findings and notices; data, not yet applied."""

    new_files: tuple[NewFile, ...] = ()
    edits: tuple[Edit, ...] = ()
    removed: tuple[RemovedFile, ...] = ()
    entries: tuple[Registered, ...] = ()
    findings: tuple[Finding, ...] = ()
    notices: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """True when applying the plan changes at least one byte."""
        return bool(self.new_files or self.edits or self.removed)

    def overlay(self) -> dict[str, str]:
        """The texts of all files that the plan writes, by path."""
        return {edit.path: edit.after for edit in self.edits} | {new.path: new.text for new in self.new_files}

    def diff(self) -> str:
        """The whole plan as one unified diff, new and removed files included, in the order in which it would be applied."""
        parts: list[str] = []
        for new in self.new_files:
            parts.append(f"diff --git a/{new.path} b/{new.path}\nnew file mode 100644\n")
            parts.extend(_diff_lines("", new.text, "/dev/null", f"b/{new.path}"))
        for edit in self.edits:
            parts.append(f"diff --git a/{edit.path} b/{edit.path}\n")
            parts.extend(_diff_lines(edit.before, edit.after, f"a/{edit.path}", f"b/{edit.path}"))
        for gone in self.removed:
            parts.append(f"diff --git a/{gone.path} b/{gone.path}\ndeleted file mode 100644\n")
            parts.extend(_diff_lines(gone.before, "", f"a/{gone.path}", "/dev/null"))
        return "".join(parts)


def _diff_lines(before: str, after: str, old: str, new: str) -> Iterable[str]:
    import difflib

    for line in difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), old, new):
        yield line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"


@dataclass
class PlanBuilder:
    """Collects edits file by file; the last text of a path wins and its first ``before`` is kept."""

    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)

    def edit(self, path: str, before: str, after: str) -> None:
        """Record that ``path`` goes from ``before`` to ``after``."""
        self.before.setdefault(path, before)
        self.after[path] = after

    def edits(self) -> tuple[Edit, ...]:
        """The edits that change something, in the order in which the files were first touched."""
        return tuple(
            Edit(path, before, self.after[path]) for path, before in self.before.items() if before != self.after[path]
        )


def merge_plans(first: Plan, second: Plan) -> Plan:
    """Two plans as one, where ``second`` was made on the overlay of ``first``.

    An edit of a file that ``first`` creates is folded into the new file.
    """
    created = {new.path: new for new in first.new_files}
    builder = PlanBuilder()
    for edit in first.edits:
        builder.edit(edit.path, edit.before, edit.after)
    for edit in second.edits:
        if edit.path in created:
            created[edit.path] = replace(created[edit.path], text=edit.after)
        else:
            builder.edit(edit.path, edit.before, edit.after)
    return Plan(
        new_files=tuple(created.values()) + second.new_files,
        edits=builder.edits(),
        removed=first.removed + second.removed,
        entries=first.entries + second.entries,
        findings=first.findings + second.findings,
        notices=first.notices + second.notices,
        next_steps=first.next_steps + second.next_steps,
    )
