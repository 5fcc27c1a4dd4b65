"""ModelSpec: names, defaults, refusals; and its agreement with the questions of copier.yml."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import yaml
from conftest import ROOT

from scaffold_model.errors import BadInput
from scaffold_model.questions import CHOICES, TASKS
from scaffold_model.spec import ModelSpec


@pytest.mark.parametrize(
    ("name", "prefix", "title", "key"),
    [
        ("foo", "Foo", "Foo", "foo"),
        ("foo2", "Foo2", "Foo2", "foo2"),
        ("y_image", "YImage", "Y Image", "y-image"),
        ("sd4", "Sd4", "Sd4", "sd4"),
        (
            "my_very_long_model_name_v15",
            "MyVeryLongModelNameV15",
            "My Very Long Model Name V15",
            "my-very-long-model-name-v15",
        ),
    ],
)
def test_names_are_derived(name: str, prefix: str, title: str, key: str) -> None:
    spec = ModelSpec(name)
    assert (spec.class_prefix, spec.title, spec.key) == (prefix, title, key)
    assert spec.transformer_class == f"{prefix}Transformer2DModel"
    assert spec.tiny_repo == f"hf-internal-testing/tiny-{key}-modular-pipe"


def test_class_prefix_can_be_given() -> None:
    spec = ModelSpec("sd4", class_prefix="SD4", format="both", scheduler="new", lora="yes")
    assert spec.new_classes == (
        "SD4Transformer2DModel",
        "SD4Scheduler",
        "SD4Pipeline",
        "SD4ModularPipeline",
        "SD4AutoBlocks",
        "SD4PipelineOutput",
        "SD4LoraLoaderMixin",
    )


@pytest.mark.parametrize(
    "name", ["", "Foo", "a/b", "../x", "foo bar", "1foo", "_foo", "foo_", "fo__o", "fóo", "foo-bar", "a.b"]
)
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="snake_case identifier"):
        ModelSpec(name)


@pytest.mark.parametrize("name", ["class", "import", "match", "type"])
def test_a_keyword_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="Python keyword"):
        ModelSpec(name)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"format": "modula"}, "--format 'modula' is unknown; choose one of modular, standard, both"),
        ({"modality": "text"}, "--modality 'text' is unknown; choose one of image, video, audio"),
        ({"modality": "video", "task": ["t2v", "i2i"]}, "--task i2i t2v: belongs to another --modality"),
        ({"task": ["t2x"]}, "--task 't2x' is unknown"),
        ({"task": 3}, "--task must be a list of tasks"),
        ({"vae": "a b"}, "--vae 'a b' must be the name of an autoencoder class"),
        ({"single_file": True}, "--single-file yes: needs --hub-repo"),
        ({"auto_pipeline": True}, "--auto-pipeline yes: needs a standard pipeline class"),
        ({"title": "a\nb"}, "--title"),
        ({"title": "{{ 1 }}"}, "--title"),
        ({"class_prefix": "foo"}, "--class-prefix 'foo' must be 1 to 40 CamelCase"),
        ({"hub_repo": "foo"}, "--hub-repo 'foo' must be ORG/NAME"),
        ({"tiny_repo": "a/b/c"}, "--tiny-repo 'a/b/c' must be ORG/NAME"),
        ({"reference": "x; rm"}, "--reference 'x; rm' must be a plain path or address"),
        ({"line_length": "wide"}, "line_length 'wide' is not a number"),
        ({"line_length": 4}, "line_length 4 is out of range"),
        ({"year": "26"}, "--year '26' must be a year"),
        ({"attention": 3}, "--attention 3 must be text"),
        ({"atention": "joint"}, "answer 'atention' is unknown"),
    ],
)
def test_bad_answers_are_refused(answers: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        ModelSpec.from_answers({"name": "foo", **answers})
    assert caught.value.line.startswith(message)
    assert "\n" not in caught.value.line


def test_a_missing_name_names_the_flag() -> None:
    with pytest.raises(BadInput, match="--name"):
        ModelSpec.from_answers({})


def test_answers_round_trip() -> None:
    spec = ModelSpec("y_image", format="both", attention="cross", text_encoder="clip", lora="yes", line_length=100)
    assert ModelSpec.from_answers(yaml.safe_load(yaml.safe_dump(spec.answers()))) == spec
    assert ModelSpec.from_answers({**spec.answers(), "_commit": "abc", "_src_path": "x"}) == spec


def _questions() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    return {key: value for key, value in loaded.items() if not key.startswith("_")}


def test_the_questions_of_copier_are_the_fields() -> None:
    assert list(_questions()) == [field.name for field in fields(ModelSpec)]


def test_the_choices_of_copier_are_ours() -> None:
    for question, details in _questions().items():
        if "choices" not in details:
            continue
        offered = details["choices"]
        if isinstance(offered, list):
            values = {value: {} for value in offered}
        else:
            values = {
                (value["value"] if isinstance(value, dict) else value): (value if isinstance(value, dict) else {})
                for value in offered.values()
            }
        assert set(values) <= set(CHOICES[question]), question
        for value in CHOICES[question]:
            assert value in values, (question, value)
            if question == "task":
                modality = next(modality for modality, tasks in TASKS.items() if value in tasks)
                reason = f"{{% if modality != '{modality}' %}}belongs to modality {modality}{{% endif %}}"
                assert values[value]["validator"] == reason


def test_the_defaults_of_copier_are_ours() -> None:
    spec = ModelSpec("foo")
    for question, details in _questions().items():
        default = details.get("default")
        if default is not None and "{{" not in str(default):
            assert spec.answers()[question] == default, question
