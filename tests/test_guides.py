"""Generated code obeys the guides of diffusers, rule by rule; `docs/guides.md` is the table of the rules."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT
from guide_rules import RULES, Rule, broken, table

from scaffold_model.checkout import head
from scaffold_model.gates import Runner, all_gates
from scaffold_model.preflight import check_spec, house_answers
from scaffold_model.render import render
from scaffold_model.scaffold import create
from scaffold_model.snapshot import Snapshot
from scaffold_model.spec import ModelSpec

#: Together every value of every axis that shows in the code.
SPECS = (
    ModelSpec("foo"),
    ModelSpec(
        "foo", format="both", task=("t2i", "i2i", "inpaint"), attention="cross", text_encoder="clip", lora="yes"
    ),
    ModelSpec("foo", format="both", vae="new", scheduler="new", guidance="embedded", text_encoder="qwen3"),
    ModelSpec("foo", format="both", modality="video", task=("t2v", "i2v", "v2v")),
    ModelSpec("foo", format="both", modality="video", vae="new", attention="cross", guidance="embedded", lora="yes"),
    ModelSpec("foo", format="both", modality="audio"),
    ModelSpec("foo", format="both", modality="audio", vae="new", attention="cross", guidance="embedded"),
)
CHECKED = [rule for rule in RULES if not isinstance(rule.shown_by, str)]
IDS = [f"{rule.guide}-{number}" for number, rule in enumerate(CHECKED)]
PAGE = ROOT / "docs" / "guides.md"


@cache
def generated(spec: ModelSpec, checkout: Path) -> dict[str, str]:
    """What ships of a scaffold, by path: complete, as it would be written."""
    snapshot = Snapshot(checkout)
    stand = head(checkout)
    answers = {**spec.answers(), **house_answers(snapshot, stand)}
    detected = ModelSpec.from_answers(answers)
    check_spec(detected, snapshot)
    plan = create(detected, snapshot, stand, render(detected.answers()))
    return {file.path: file.text for file in plan.new_files if detected.owns(file.path)}


@pytest.mark.checkout
@pytest.mark.parametrize("rule", CHECKED, ids=IDS)
def test_generated_code_obeys_the_rule(rule: Rule, pristine: Path) -> None:
    assert not isinstance(rule.shown_by, str)
    for spec in SPECS:
        assert rule.shown_by(generated(spec, pristine)) == []


@pytest.mark.checkout
def test_no_leftover_of_the_template(pristine: Path) -> None:
    for spec in SPECS:
        for path, text in generated(spec, pristine).items():
            assert not re.search(r"\{%|%\}|\{#|#\}|\{\{ \w", text), path
            assert "\n\n\n\n" not in text, path
            assert text == "" or text.endswith("\n"), path
            assert not text.endswith("\n\n"), path


@pytest.mark.checkout
@pytest.mark.parametrize("rule", CHECKED, ids=IDS)
def test_a_check_sees_a_mistake(rule: Rule, pristine: Path) -> None:
    assert not isinstance(rule.shown_by, str)
    assert rule.shown_by(broken(rule, generated(SPECS[1], pristine)))


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(table())


@pytest.mark.checkout
def test_what_the_table_names_exists(pristine: Path) -> None:
    gates = {gate.name for gate in all_gates(Snapshot(pristine), ModelSpec("foo"), Runner("python", pristine))}
    for rule in RULES:
        if not isinstance(rule.shown_by, str):
            continue
        if rule.shown_by.startswith("gate "):
            assert rule.shown_by.removeprefix("gate ") in {*gates, "the generated tests"}, rule.shown_by
        else:
            path, _, function = rule.shown_by.partition("::")
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, rule.shown_by
