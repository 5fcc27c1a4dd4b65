"""Rules over block indices, from what each target parameter is made of."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .indices import Numbers, numbered_words, skeleton, with_numbers
from .joins import make_joins
from .pieces import Choice, Shape, matrix
from .rule import Output, Place, Rule, Rules, Surgery


@dataclass(frozen=True)
class _Use:
    key: str
    source: str
    numbers: Numbers
    leaf: str
    targets: tuple[tuple[str, Numbers], ...]
    surgery: Surgery
    spread: tuple[tuple[int, int] | None, ...]


def make_rules(choices: list[Choice], sources: Mapping[str, Shape], marks: Mapping[str, str]) -> Rules:
    """Generalise choices over indices.

    Args:
        choices: What each target is made of.
        sources: The shapes of all sources.
        marks: By target key, what the script has to say of it, such as that it is a tie.

    Returns:
        Rules that give exactly these choices for these sources.
    """
    words = numbered_words(sources)
    takers: dict[str, list[Choice]] = defaultdict(list)
    joined = []
    for choice in choices:
        found = {piece.source for piece in choice.pieces}
        if len(found) == 1:
            takers[found.pop()].append(choice)
        elif found:
            joined.append(choice)
    uses = [_use(key, takers[key], sources[key], words) for key in sources if key in takers]
    place = {choice.target: position for position, choice in enumerate(choices)}
    first = {key: min(place[choice.target] for choice in found) for key, found in takers.items()}
    grouped = sorted(_grouped(uses, sources, words), key=lambda rule: min(first[key] for key in rule.keys))
    rules = _separate(grouped)
    for rule in rules:
        rule.marks = sorted({marks[one.target] for key in rule.keys for one in takers[key] if one.target in marks})
    used = {piece.source for choice in choices for piece in choice.pieces}
    unused = _patterns([key for key in sources if key not in used], words)
    joins = make_joins(joined, sources, words, marks)
    return Rules(rules, joins, unused)


def _use(key: str, takers: list[Choice], shape: Shape, words: frozenset[str]) -> _Use:
    """What a source gives, with its rows cut where any target begins or ends."""
    rows, _ = matrix(shape)
    cuts = sorted({0, rows} | {cut for one in takers for piece in one.pieces for cut in (piece.start, piece.stop)})
    spread = _spread(takers)
    named = [(skeleton(one.target), one) for one in takers if one.target not in spread]
    named = sorted(named, key=lambda entry: (entry[1].pieces[0].start, entry[0]))
    for text, entry in dict.fromkeys((skeleton(one)[0], place) for one, place in spread.items()):
        first = next(one for one in takers if one.target in spread and skeleton(one.target)[0] == text)
        named.append(((text, skeleton(first.target)[1]), replace(first, evidence=f"{entry[0]} {entry[1]}")))
    outputs = []
    for _, one in named:
        segments = tuple(
            index
            for piece in one.pieces
            for index, (start, stop) in enumerate(itertools.pairwise(cuts))
            if piece.start <= start and stop <= piece.stop
        )
        whole = one.shape == (sum(cuts[index + 1] - cuts[index] for index in segments), *shape[1:])
        outputs.append(Output(segments, None if whole and not one.permute else one.shape, one.permute, one.view))
    surgery = Surgery(
        tuple(stop - start for start, stop in itertools.pairwise(cuts)),
        tuple(outputs),
    )
    if len(surgery.rows) == 1:
        surgery = replace(surgery, outputs=tuple(replace(one, segments=(0,)) for one in surgery.outputs))
        if all(one.shape == shape and not one.permute for _, one in named):
            surgery = replace(surgery, outputs=tuple(Output((0,)) for _ in named))
    stem, leaf = key, ""
    leaves = {text.rpartition(".")[2] for (text, _), _ in named}
    if leaves == {key.rpartition(".")[2]} and "." in key:
        stem, _, leaf = key.rpartition(".")
        named = [((text.rpartition(".")[0], numbers), one) for (text, numbers), one in named]
    text, numbers = skeleton(stem, words)
    places = tuple(spread.get(one.target) for _, one in named)
    return _Use(key, text, numbers, leaf, tuple(target for target, _ in named), surgery, places)


def _spread(takers: list[Choice]) -> dict[str, tuple[int, int]]:
    """Targets that differ in one index only, which runs from zero, and take the same: its position and its count."""
    groups: dict[tuple[str, object], list[Choice]] = defaultdict(list)
    for one in takers:
        groups[skeleton(one.target)[0], one.pieces].append(one)
    found = {}
    for group in groups.values():
        columns = list(zip(*(skeleton(one.target)[1] for one in group), strict=True))
        varying = [position for position, column in enumerate(columns) if len(set(column)) > 1]
        if len(group) > 1 and len(varying) == 1 and sorted(columns[varying[0]]) == list(range(len(group))):
            found.update({one.target: (varying[0], len(group)) for one in group})
    return found


def _grouped(uses: list[_Use], sources: Mapping[str, Shape], words: frozenset[str]) -> list[Rule]:
    groups: dict[object, list[_Use]] = defaultdict(list)
    for use in uses:
        texts = tuple(text for text, _ in use.targets)
        groups[use.source, use.leaf, texts, _sizeless(use.surgery), use.spread].append(use)
    members = _members(sources, words)
    rules = [rule for group in groups.values() for rule in _rules_of(group, members)]
    return _leaves_merged(rules)


def _sizeless(surgery: Surgery) -> object:
    """What surgeries of weight and bias have in common: the bias has fewer axes."""
    return surgery.rows, tuple((one.segments, one.shape, one.permute, one.view) for one in surgery.outputs)


def _members(sources: Iterable[str], words: frozenset[str]) -> dict[str, int]:
    """How many different keys stand below each index: those of a block are many, those of a Sequential few."""
    found: dict[str, set[str]] = defaultdict(set)
    for key in sources:
        text, _ = skeleton(key, words)
        parts = text.split("#")
        for index in range(1, len(parts)):
            found["#".join(parts[:index]) + "#"].add("#".join(parts[index:]))
    return {text: len(rest) for text, rest in found.items()}


def _rules_of(group: list[_Use], members: dict[str, int]) -> list[Rule]:
    """One rule for a group whose target indices follow from the source's, else one for each of its keys."""
    rule = _rule(group, members)
    if rule is not None:
        return [rule]
    count = len(group[0].numbers)
    for position in range(count):
        split: dict[int, list[_Use]] = defaultdict(list)
        for use in group:
            split[use.numbers[position]].append(use)
        if len(split) > 1:
            found = [_rule(part, members) for part in split.values()]
            if all(found):
                return [one for one in found if one is not None]
    return [one for use in group if (one := _literal(use)) is not None]


def _literal(use: _Use) -> Rule:
    targets = tuple((text, tuple(("number", number) for number in numbers)) for text, numbers in use.targets)
    leaves = (use.leaf,) if use.leaf else ()
    return Rule(use.source, use.numbers, leaves, targets, use.surgery, [use.key], use.spread)


def _rule(group: list[_Use], members: dict[str, int]) -> Rule | None:
    first = group[0]
    columns = list(zip(*(use.numbers for use in group), strict=True))
    texts = first.source.split("#")
    numbers: list[int | None] = []
    for position, column in enumerate(columns):
        # A model with a single block has its index as well; the layers of a Sequential have few keys below them.
        block = members.get("#".join(texts[: position + 1]) + "#", 0) >= 4 and set(column) == {0}
        numbers.append(None if len(set(column)) > 1 or block else column[0])
    targets = []
    used: set[int] = set()
    for place, (text, _) in enumerate(first.targets):
        parts: list[Place] = []
        for index in range(text.count("#")):
            values = [use.targets[place][1][index] for use in group]
            same = [
                position
                for position, column in enumerate(columns)
                if numbers[position] is None and list(column) == values
            ]
            if same:
                position = next((one for one in same if one not in used), same[0])
                used.add(position)
                parts.append(("index", position))
            elif len(set(values)) == 1:
                parts.append(("number", values[0]))
            else:
                return None
        targets.append((text, tuple(parts)))
    for position, number in enumerate(numbers):
        if number is None and position not in used:
            if len(set(columns[position])) > 1:
                return None
            numbers[position] = columns[position][0]
    leaves = (first.leaf,) if first.leaf else ()
    keys = [use.key for use in group]
    return Rule(first.source, tuple(numbers), leaves, tuple(targets), first.surgery, keys, first.spread)


def _leaves_merged(rules: list[Rule]) -> list[Rule]:
    """Weight and bias of the same modules share a rule."""
    found: dict[object, Rule] = {}
    for rule in rules:
        instances = frozenset(key.rpartition(".")[0] for key in rule.keys) if rule.leaves else id(rule)
        identity = (rule.source, rule.numbers, rule.targets, rule.surgery, rule.spread, instances)
        if identity in found:
            known = found[identity]
            known.leaves, known.keys = (*known.leaves, *rule.leaves), [*known.keys, *rule.keys]
        else:
            found[identity] = rule
    for rule in found.values():
        rule.leaves = tuple(sorted(rule.leaves, key=lambda leaf: (leaf != "weight", leaf)))
    return list(found.values())


def _separate(rules: list[Rule]) -> list[Rule]:
    """An order in which the first expression that matches a key is that of its rule: exceptions come first."""
    general = sorted(rules, key=lambda rule: sum(number is None for number in rule.numbers))
    belongs = {key: rule for rule in rules for key in rule.keys}
    if all(_first(rules, key) is belongs[key] for key in belongs):
        # The order of the model reads best.
        return rules
    wrong = [rule for rule in general if any(_first(general, key) is not rule for key in rule.keys)]
    if not wrong:
        return general
    separated = []
    for rule in rules:
        separated += [_only(rule, key) for key in rule.keys] if rule in wrong else [rule]
    return sorted(separated, key=lambda rule: sum(number is None for number in rule.numbers))


def _first(rules: list[Rule], key: str) -> Rule | None:
    return next((rule for rule in rules if re.fullmatch(rule.regex(), key)), None)


def _only(rule: Rule, key: str) -> Rule:
    """A rule for one key alone."""
    match = re.fullmatch(rule.regex(), key)
    assert match is not None
    left = iter(match.groups())
    values = [int(next(left)) if number is None else number for number in rule.numbers]
    targets = tuple(
        (text, tuple(("number", values[value] if kind == "index" else value) for kind, value in parts))
        for text, parts in rule.targets
    )
    leaves = (key.rpartition(".")[2],) if rule.leaves else ()
    return replace(rule, numbers=tuple(values), targets=targets, leaves=leaves, keys=[key])


def _patterns(keys: list[str], words: frozenset[str]) -> list[str]:
    """Expressions for these keys, with any number for the indices that vary."""
    groups: dict[str, list[Numbers]] = defaultdict(list)
    for key in keys:
        text, numbers = skeleton(key, words)
        groups[text].append(numbers)
    found = []
    for text, all_numbers in groups.items():
        parts = [
            str(column[0]) if len(set(column)) == 1 else rf"(?:{'|'.join(str(one) for one in sorted(set(column)))})"
            for column in zip(*all_numbers, strict=True)
        ]
        found.append(with_numbers(re.escape(text).replace("\\#", "#"), parts))
    return found
