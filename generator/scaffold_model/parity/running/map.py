"""Maps a checkpoint to a model of diffusers, and writes the conversion: the running half of ``scaffold-model map``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .checkpoint import Checkpoint, read_checkpoint
from .errors import RunningError
from .mapping.pieces import Choice, Pieces, Shape, matrix
from .mapping.rules import make_rules
from .mapping.script import script_parts, whole_script
from .mapping.selfcheck import check_larger, check_script
from .mapping.target import Target, build_target, described

HARNESS = ("build_reference", "build_target", "make_inputs", "run_reference", "run_target")


def main(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Map a checkpoint.

    Args:
        request: ``weights``, ``against``, ``config``, ``harness`` (each but the harness may be None where there is a
            harness), and ``script``, the name of the script.
        progress: Is told of each step.

    Returns:
        ``choices`` (one for each target), ``sources`` (shape and use of each), ``script``, and what running has shown.
    """
    import torch

    torch.set_grad_enabled(False)
    checkpoint = None
    if request["weights"] is not None:
        checkpoint = read_checkpoint(Path(request["weights"]))
        progress(f"Read the names and shapes of {len(checkpoint.entries)} tensors")
    target = build_target(request["against"], Path(request["config"])) if request["against"] else None
    facts: dict[str, Any] = {}
    named, larger = target, False
    if request["harness"] is None:
        from .mapping.evidence import propose

        assert checkpoint is not None
        assert target is not None
        progress(f"{target.name} has {len(target.shapes)} tensors; weighing names, shapes and structure")
        sources = checkpoint.shapes()
        choices = propose(sources, target)
    else:
        target, sources, choices, facts, larger = _by_running(Path(request["harness"]), checkpoint, target, progress)
    marks = {choice.target: _mark(choice) for choice in choices if choice.ties or not choice.pieces}
    rules = make_rules(choices, sources, {key: mark for key, mark in marks.items() if mark})
    shown = named.config if larger and named is not None else target.config
    parts = script_parts(rules, sources, target.config, target.name, target.parents, shown)
    module = "diffusers"
    name = target.name
    if ":" in name:
        module, _, name = name.rpartition(":")
    text = whole_script(parts, name, module, request["script"])
    progress("Checking that the script does what the table says")
    check_script(parts, choices, sources, target.config)
    if larger and named is not None:
        progress("Checking that it also fits the checkpoint, which is larger than the models of the harness")
        given = checkpoint.shapes() if checkpoint is not None else None
        check_larger(parts, given, named)
        facts["larger"] = True
    used = {piece.source for choice in choices for piece in choice.pieces}
    return {
        "target_class": target.name,
        "choices": [_choice(choice, sources) for choice in choices],
        "sources": [{"key": key, "shape": list(shape), "used": key in used} for key, shape in sources.items()],
        "script": text,
        "parts": {"functions": parts.functions, "tables": parts.tables, "convert": parts.convert},
        **facts,
    }


def _by_running(
    path: Path, checkpoint: Checkpoint | None, target: Target | None, progress: Any
) -> tuple[Target, dict[str, Shape], list[Choice], dict[str, Any], bool]:
    """Target, sources, choices and facts; and whether checkpoint and ``--config`` are larger than the harness's models."""
    from .harness import load_harness
    from .mapping.by_running import max_diff, pair_keys, run_mapping
    from .mapping.evidence import propose

    harness = load_harness(path, HARNESS)
    run = run_mapping(harness, progress)
    reference, built = run.sides
    if target is None:
        config = dict(getattr(built.model, "config", {}))
        target = described(type(built.model).__name__, built.model, config)
    shapes = {key: tuple(tensor.shape) for key, tensor in built.tensors.items()}
    different = [key for key, shape in target.shapes.items() if key not in built.others and shapes.get(key) != shape]
    larger = bool(different or shapes.keys() - target.shapes.keys())
    if larger:
        if target.name.rpartition(":")[2] != type(built.model).__name__:
            raise RunningError(
                f"build_target builds a {type(built.model).__name__}, and --against names {target.name}",
                path=str(path),
                hint="map to the model that the harness builds",
            )
        # The rules of a small model are those of a large one: sizes are taken from the configuration.
        target = described(target.name, built.model, dict(getattr(built.model, "config", {})))
    sources = {key: tuple(tensor.shape) for key, tensor in reference.tensors.items()}
    facts: dict[str, Any] = {"max_diff": run.max_diff, "unproved": run.unproved}
    choices = run.choices
    if run.max_diff is None:
        progress("The two sides differ by more than their weights; weighing names, shapes and structure instead")
        choices = propose(sources, target)
        facts = {"max_diff": max_diff(choices, run.sides), "unproved": list(target.shapes), "apart": run.closest}
    if checkpoint is not None and not larger:
        pairs = pair_keys(reference, checkpoint.shapes(), checkpoint.load)
        if pairs is None:
            raise RunningError(
                "the checkpoint has other names than the harness's reference, and other values, so the two can not be"
                " brought together",
                path=str(checkpoint.path),
                hint="let build_reference load this checkpoint, or name one that has the keys of its state dict",
            )
        choices = [_renamed(choice, pairs) for choice in choices]
        sources = checkpoint.shapes()
    left = [key for key in target.shapes if key in built.others]
    known = {choice.target for choice in choices}
    choices += [
        Choice(key, target.shapes[key], (), (), 0.0, "it holds no floating-point numbers")
        for key in left
        if key not in known
    ]
    return target, sources, choices, facts, larger


def _renamed(choice: Choice, pairs: dict[str, str]) -> Choice:
    from dataclasses import replace

    def renamed(pieces: Pieces) -> Pieces:
        return tuple(replace(piece, source=pairs[piece.source]) for piece in pieces)

    return replace(choice, pieces=renamed(choice.pieces), ties=[renamed(tie) for tie in choice.ties])


def _mark(choice: Choice) -> str:
    """What the script says above a rule that is not certain."""
    if not choice.ties:
        return ""
    others = " or ".join(written(pieces) for pieces in choice.ties[:3])
    more = f" or {len(choice.ties) - 3} others" if len(choice.ties) > 3 else ""
    return f"TODO: a tie, {choice.target} may also be {others}{more}"


def written(pieces: Pieces) -> str:
    """Pieces in words, such as ``qkv.weight[0:48]``."""
    return " + ".join(f"{piece.source}[{piece.start}:{piece.stop}]" for piece in pieces)


def _choice(choice: Choice, sources: dict[str, Shape]) -> dict[str, Any]:
    def part(pieces: Pieces) -> list[dict[str, Any]]:
        return [
            {
                "source": piece.source,
                "start": piece.start,
                "stop": piece.stop,
                "of": matrix(sources[piece.source])[0],
            }
            for piece in pieces
        ]

    return {
        "target": choice.target,
        "shape": list(choice.shape),
        "pieces": part(choice.pieces),
        "transform": transform(choice, sources),
        "confidence": round(choice.confidence, 3),
        "evidence": choice.evidence,
        "ties": [part(pieces) for pieces in choice.ties],
    }


def transform(choice: Choice, sources: dict[str, Shape]) -> str:
    """What is done to the source: ``none``, ``rename``, ``split``, ``swap``, ``reorder``, ``join``, ``reshape``, ``permute``."""
    if not choice.pieces:
        return "none"
    first = choice.pieces[0]
    shape = sources[first.source]
    rows = matrix(shape)[0]
    if choice.permute:
        return "permute"
    if len({piece.source for piece in choice.pieces}) > 1:
        return "join"
    if len(choice.pieces) == 2 and first.stop == rows and choice.pieces[1].start == 0:
        return "swap"
    if len(choice.pieces) > 1:
        return "reorder"
    if (first.start, first.stop) != (0, rows):
        return "split"
    return "rename" if choice.shape == shape else "reshape"
