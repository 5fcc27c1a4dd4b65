"""What a rule is: sources of one pattern, how they are cut, and the targets that get the parts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .indices import with_numbers
from .pieces import Shape

Place = tuple[str, int]


@dataclass(frozen=True)
class Output:
    """What a source gives to one target.

    Attributes:
        segments: Which of the source's segments, in order.
        shape: The target's shape where it is another than that of those rows, else None.
        permute: The order of the source's axes before it is brought into that shape.
        view: The shape that the source is seen in before that.
    """

    segments: tuple[int, ...]
    shape: Shape | None = None
    permute: Shape = ()
    view: Shape = ()


@dataclass(frozen=True)
class Surgery:
    """How a source is cut: the rows of its segments, and what each target gets of them."""

    rows: tuple[int, ...]
    outputs: tuple[Output, ...]

    @property
    def is_rename(self) -> bool:
        """Whether every target gets the source as it is."""
        return all(output == Output((0,)) for output in self.outputs) and len(self.rows) == 1


@dataclass
class Rule:
    """Sources of one pattern and the targets that they give.

    Attributes:
        source: The skeleton of the source keys, without the last word where that is ``leaves``.
        numbers: What its indices are: a number, or None where they vary.
        leaves: The last words that the rule holds for, where sources and targets end alike; empty otherwise.
        targets: The skeletons of the target keys, with what their indices are.
        surgery: How the source is cut.
        keys: The source keys that it was found from.
        spread: For a source of many targets, the position of the index that runs over all blocks, by target.
    """

    source: str
    numbers: tuple[int | None, ...]
    leaves: tuple[str, ...]
    targets: tuple[tuple[str, tuple[Place, ...]], ...]
    surgery: Surgery
    keys: list[str]
    spread: tuple[tuple[int, int] | None, ...] = ()
    marks: list[str] = field(default_factory=list)

    def regex(self) -> str:
        """A regular expression for the whole source key; its groups are the indices that vary, then the last word."""
        parts = ["(\\d+)" if number is None else str(number) for number in self.numbers]
        text = with_numbers(re.escape(self.source).replace("\\#", "#"), parts)
        if not self.leaves:
            return text
        return f"{text}\\.{self.leaves[0]}" if len(self.leaves) == 1 else f"{text}\\.(\\w+)"

    def formats(self) -> list[str]:
        """The target keys, with ``{0}``, ``{1}`` ... for the groups of the regular expression."""
        groups = [position for position, number in enumerate(self.numbers) if number is None]
        found = []
        for place, (text, numbers) in enumerate(self.targets):
            spread = self.spread[place] if self.spread else None
            parts = [
                "{block}"
                if spread and spread[0] == index
                else f"{{{groups.index(value)}}}"
                if kind == "index"
                else str(value)
                for index, (kind, value) in enumerate(numbers)
            ]
            leaf = f".{{{len(groups)}}}" if len(self.leaves) > 1 else f".{self.leaves[0]}" if self.leaves else ""
            found.append(with_numbers(text, parts) + leaf)
        return found


@dataclass(frozen=True)
class Join:
    """Targets of one pattern that are several sources below each other: the formats of target and sources.

    Attributes:
        regex: A regular expression for the key of the first source.
        target: The target key, with ``{0}`` ... for the groups of the expression.
        sources: For each piece, the source key in the same way, and the rows, or None for all of them.
        keys: The source keys.
    """

    regex: str
    target: str
    sources: tuple[tuple[str, tuple[int, int] | None], ...]
    keys: tuple[str, ...]
    marks: tuple[str, ...] = ()


@dataclass
class Rules:
    """All rules: each source key has the first one whose expression matches it.

    Attributes:
        rules: For sources that give their rows to targets of their own.
        joins: For targets of several sources.
        unused: Expressions for the sources that no target takes.
    """

    rules: list[Rule]
    joins: list[Join]
    unused: list[str]
