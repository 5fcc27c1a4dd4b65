"""What a lazy ``__init__`` module is made of: suites, the blocks in them that register names, and their statements."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

from ..code import names as code_names
from ..code.folding import Plain, Run, words
from ..code.syntax import last_line
from ..code.text import differing
from .base import Fact, Listed

# The modules of placeholders register nothing.
_DUMMY = "utils.dummy_"


@dataclass
class Suite:
    """Statements under one backend guard, in one half of an init module.

    Attributes:
        index: Which suite of the module it is.
        half: ``structure`` or ``types``.
        guard: The backends in the order in which they are asked for.
        body: The statements, with a stand-in for every run of plain ones.
        dense: Whether two of them stand in a run.
        placeholders: The module that stands in for them in the TYPE_CHECKING half, where one does.
    """

    index: int
    half: str
    guard: tuple[str, ...]
    body: list[ast.stmt]
    dense: bool = False
    placeholders: str = ""

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends of the guard, sorted."""
        return tuple(sorted(self.guard))

    @property
    def lines(self) -> tuple[int, int]:
        """Its first line and its last."""
        return self.body[0].lineno, last_line(self.body[-1])


@dataclass
class Key:
    """One statement (or one item of the dict literal) that registers names under a module.

    Attributes:
        module: The module.
        suite: What it is in.
        place: Which statement of the suite it is.
        first: The line that the statement starts on.
        last: The line that it ends on.
        assigns: Whether it is an assignment to the key.
        plain: The statement as its pattern reads it, where it is a plain one.
        statement: The statement as the parser reads it, where it is none.
        brackets: The names as the parser reads them.
        single: The one name that it appends.
        item: The key in a dict literal.
    """

    module: str
    suite: Suite
    place: int
    first: int
    last: int
    assigns: bool = False
    plain: Plain | None = None
    statement: ast.stmt | None = None
    brackets: code_names.Brackets | None = None
    single: str = ""
    item: ast.expr | None = None

    @property
    def has_list(self) -> bool:
        """Whether it has brackets, or an import, for a further name to go into."""
        return self.plain is not None or self.brackets is not None

    @property
    def names(self) -> Sequence[str]:
        """The names in order."""
        return self.plain.names if self.plain else [name for name, _ in self.objects]

    @property
    def objects(self) -> list[tuple[str, int]]:
        """The names with their lines."""
        if self.plain:
            names, row = self.plain.names, self.first + self.plain.below
            return list(zip(names, range(row, row + len(names)) if self.plain.below else repeat(row), strict=False))
        if self.single:
            return [(self.single, self.first)]
        return [pair for pair in code_names.elements(self.brackets) if pair[0]] if self.brackets else []

    @property
    def count(self) -> int:
        """How many names there are."""
        return self.plain.size if self.plain else len(self.objects)

    def holds(self, name: str) -> bool:
        """Whether the name is one of them."""
        return (not self.plain or name in self.plain.text) and name in self.names

    def named(self, name: str) -> Iterable[Listed]:
        """The name with its line, where it is one of them."""
        found = [index for index, each in enumerate(self.names) if each == name] if self.holds(name) else []
        return (Listed(name, self.module, self.objects[index][1], "", self.suite.backends) for index in found)

    def listed(self) -> Iterable[Listed]:
        """Each name with its module, line and backend group."""
        backends = self.suite.backends
        return (Listed(name, self.module, line, "", backends) for name, line in self.objects)


@dataclass
class Block:
    """A run of plain statements that register names, or one statement that the parser has read.

    Attributes:
        suite: What it is in.
        place: Which statement of the suite is its first.
        run: The run; None for a statement that the parser has read.
        read: What that statement registers.
    """

    suite: Suite
    place: int
    run: Run | None
    read: tuple[Key, ...] = ()

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """What it registers, by statement."""
        if self.run is None:
            return self.read
        return tuple(self._keys(self.run, self.place))

    def _keys(self, run: Run, place: int) -> Iterator[Key]:
        """The keys of its run, or of some statements of it, the first of which is that one of the suite."""
        suite, line = self.suite, run.first
        for index, one in enumerate(run.statements):
            if not is_dummy(one.module):
                yield Key(one.module, suite, place + index, line + one.first, line + one.last, one.assigns, one)

    @property
    def names(self) -> Sequence[str]:
        """The names in order."""
        if self.run and _DUMMY not in self.run.text:
            return self.run.names
        return [name for key in self.keys for name in key.names]

    @property
    def identity(self) -> tuple[str, tuple[str, ...]] | None:
        """What decides which names it lists and how; None where only the names themselves say it."""
        return (self.run.text, self.suite.backends) if self.run else None

    def holding(self, name: str) -> list[Key]:
        """The keys that the name is registered under."""
        if self.run is None:
            return [key for key in self.read if key.holds(name)]
        found = self.run.holding(name)
        return [key for index, run in found for key in self._keys(run, self.place + index) if key.holds(name)]

    def named(self, name: str) -> Iterable[Listed]:
        """Where it registers the name."""
        return (item for key in self.holding(name) for item in key.named(name))

    def listed(self) -> Iterable[Listed]:
        """Each name with its module, line and backend group."""
        return (item for key in self.keys for item in key.listed())

    def facts(self) -> Iterable[Fact]:
        """The same without the lines."""
        return (fact for key in self.keys for fact in self._facts(key, key.names))

    def apart(self, other: Block) -> tuple[Iterable[Fact], Iterable[Fact]]:
        """The facts of two blocks, without those of the statements and names that both begin with and end with."""
        if not (self.run and other.run) or (self.run.kind, self.suite.backends) != (
            other.run.kind,
            other.suite.backends,
        ):
            return self.facts(), other.facts()
        pair = self.run.apart(other.run)
        mine, others = (list(block._keys(run, 0)) for block, run in zip((self, other), pair, strict=True))
        if len(mine) == len(others) == 1 and mine[0].plain and others[0].plain and mine[0].module == others[0].module:
            texts = mine[0].plain.text, others[0].plain.text
            rows = differing(*texts)
            names = [words(text[lines]) for text, lines in zip(texts, rows, strict=True)]
            return self._facts(mine[0], names[0]), other._facts(others[0], names[1])
        return (
            (fact for key in mine for fact in self._facts(key, key.names)),
            (fact for key in others for fact in other._facts(key, key.names)),
        )

    def _facts(self, key: Key, names: Sequence[str]) -> Iterable[Fact]:
        return zip(names, repeat(key.module), repeat(""), repeat(self.suite.backends), strict=False)


def is_dummy(module: str) -> bool:
    """Whether it is a module of placeholders, which registers nothing."""
    return module.startswith(_DUMMY)
