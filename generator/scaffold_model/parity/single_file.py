"""Keeps `from_single_file` in step with the conversion script, whose table it holds a copy of."""

from __future__ import annotations

import re

from ..errors import AnchorNotFound, BadInput
from ..plan import Plan
from ..single_file_utils import UTILS, add_single_file, conversion_name, remove_single_file
from ..snapshot import Snapshot
from ..spec import ModelSpec


def follow(snapshot: Snapshot, spec: ModelSpec, script: str, text: str, ruff: str | None) -> Plan:
    """The edit that makes original checkpoints load as the script converts them.

    Args:
        snapshot: The checkout.
        spec: The answers.
        script: The path of the conversion script.
        text: The script.
        ruff: The formatter, or None for our own.

    Returns:
        The edit; or none, with a notice where the mapping needs more than a table.
    """
    before = snapshot.read(UTILS)
    if before is None or f"def {conversion_name(spec.name)}(" not in before:
        return Plan()
    if "config: dict" in text or "JOINED_KEYS" in text:
        return Plan(
            notices=(
                f"{conversion_name(spec.name)} in {UTILS} still converts the layout of before: the new one takes sizes"
                " from the configuration or puts tensors together, so carry it over by hand",
            )
        )
    without = remove_single_file(before, spec)
    try:
        edits = add_single_file(snapshot.overlaid({script: text, UTILS: without}), spec, ruff)
    except (AnchorNotFound, BadInput) as error:
        return Plan(notices=(f"{UTILS} still converts the layout of before: {error.message}",))
    after = edits[0].after if edits else without
    # What the comment asks for has been done.
    todo = rf"    # TODO\({spec.name}\): describe the original checkpoint.*\n(?:    # .*\n)*"
    after = re.sub(todo, "", after)
    return Plan() if after == before else Plan(edits=(type(edits[0])(UTILS, before, after),))
