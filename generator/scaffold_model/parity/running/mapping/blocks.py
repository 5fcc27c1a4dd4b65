"""The structure of a state dict: stacks of blocks, what each block holds, and the modules with their tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .indices import numbered_words, skeleton, with_numbers
from .pieces import Shape, matrix

#: Last words of tensors that belong to one module; anything else is a tensor of its own.
LEAVES = ("weight", "bias", "scale", "gamma", "beta", "g", "b")

Sizes = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Unit:
    """One module, or a tensor of its own.

    Attributes:
        path: Its path below the block; the whole key of a tensor of its own.
        keys: The full keys of its tensors by their last word.
        sizes: Their sizes as matrices, sorted, so that two that may correspond have the same.
    """

    path: str
    keys: tuple[tuple[str, str], ...]
    sizes: Sizes

    @property
    def parent(self) -> str:
        """The path of what holds the module."""
        return self.path.rpartition(".")[0]


@dataclass
class Stack:
    """Blocks of the same kind.

    Attributes:
        prefix: The skeleton of the path to them, such as ``blocks.#``; empty for what is in no block.
        blocks: The full keys in each block, by index.
    """

    prefix: str
    blocks: dict[int, list[str]] = field(default_factory=dict)

    def count(self) -> int:
        return len(self.blocks)


def stacks(shapes: Mapping[str, Shape]) -> list[Stack]:
    """The stacks of a state dict, the rest last, as a stack of one block without a prefix."""
    words = numbered_words(shapes)
    candidates: dict[str, dict[int, dict[str, Shape]]] = defaultdict(lambda: defaultdict(dict))
    for key, shape in shapes.items():
        text, numbers = skeleton(key, words)
        parts = text.split("#")
        for position in range(len(parts) - 1):
            if position == 0 or parts[position] != ".":
                prefix = _filled(parts[: position + 1], numbers[:position]) + "#"
                rest = _filled(parts[position + 1 :], numbers[position + 1 :])
                candidates[prefix][numbers[position]][rest] = shape
    found: list[Stack] = []
    taken: set[str] = set()
    # The outermost index is that of the blocks.
    for prefix, blocks in sorted(candidates.items(), key=lambda entry: entry[0].count(".")):
        if not _is_stack(blocks):
            continue
        stack = Stack(prefix)
        for index in sorted(blocks):
            keys = [prefix.replace("#", str(index)) + rest for rest in blocks[index]]
            stack.blocks[index] = [key for key in keys if key not in taken]
        if any(stack.blocks.values()):
            taken.update(key for keys in stack.blocks.values() for key in keys)
            found.append(stack)
    outside = Stack("", {0: [key for key in shapes if key not in taken]})
    return [*found, outside]


def _filled(parts: list[str], numbers: Iterable[int]) -> str:
    return with_numbers("#".join(parts), numbers)


def _is_stack(blocks: Mapping[int, Mapping[str, Shape]]) -> bool:
    """Whether indices run from zero over blocks that hold the same; one alone must hold much to be a block."""
    if sorted(blocks) != list(range(len(blocks))):
        return False
    if len(blocks) == 1:
        return len(blocks[0]) >= 6
    contents = [tuple(sorted(block.items())) for block in blocks.values()]
    alike = max(contents.count(content) for content in set(contents))
    # The first or the last block may be an exception.
    return alike >= max(2, len(blocks) - 2) or (len(blocks) == 2 and _overlap(contents[0], contents[1]) > 0.6)


def _overlap(one: Iterable[object], other: Iterable[object]) -> float:
    first, second = set(one), set(other)
    return len(first & second) / len(first | second)


def units(keys: Iterable[str], shapes: Mapping[str, Shape], prefix: str, label: str = "") -> list[Unit]:
    """The modules of a block.

    Args:
        keys: The keys in it.
        shapes: All shapes.
        prefix: The path to the block, with its index.
        label: What to put before the paths, where several stacks make up one.
    """
    members: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for key in keys:
        path = key[len(prefix) :].lstrip(".") if prefix and key.startswith(prefix) else key
        path = f"{label}.{path}" if label else path
        module, _, leaf = path.rpartition(".")
        if leaf in LEAVES and module:
            members[module].append((leaf, key))
        else:
            members[path].append(("", key))
    return [
        Unit(path, tuple(found), tuple(sorted(matrix(shapes[key]) for _, key in found)))
        for path, found in members.items()
    ]
