"""The places to port: which files are looked at, and where the text of a mark ends."""

from __future__ import annotations

import json

import pytest

from scaffold_model.errors import BadInput
from scaffold_model.snapshot import Snapshot
from scaffold_model.todo import Todo, find_marks, todos

MODEL = "src/diffusers/models/transformers/transformer_foo.py"

PYTHON = '''\
"""TODO(foo): a mark in a docstring ends with its line
and not here."""

# TODO(foo): replace this block
# by the layers of the reference
#   (all of them).
class Foo:
    x = 1  # TODO(foo): the width
    #        of the reference
    # TODO(foo): one
    # TODO(foo): two
    # Copied from diffusers.models.x.Y
    # TODO(foo2): not ours
    y = 2
    # TODO(foo): before an empty line

    # another comment
    # TODO(foo): before an empty comment
    #
    # another paragraph
'''


def test_marks_in_python() -> None:
    assert list(find_marks(PYTHON, "a.py", "foo")) == [
        Todo("a.py", 1, "a mark in a docstring ends with its line"),
        Todo("a.py", 4, "replace this block by the layers of the reference (all of them)."),
        Todo("a.py", 8, "the width"),
        Todo("a.py", 10, "one"),
        Todo("a.py", 11, "two"),
        Todo("a.py", 15, "before an empty line"),
        Todo("a.py", 18, "before an empty comment"),
    ]


def test_marks_in_markdown() -> None:
    page = "# Foo\n\n<!-- TODO(foo): introduce\nthe model. -->\nText.\n<!-- TODO(foo): one line --> more\n"
    assert list(find_marks(page, "a.md", "foo")) == [
        Todo("a.md", 3, "introduce the model."),
        Todo("a.md", 6, "one line"),
    ]


def test_files_at_the_models_own_paths() -> None:
    snapshot = Snapshot(
        None,
        {
            MODEL: "# TODO(foo): port\n",
            "src/diffusers/pipelines/foo/pipeline_foo.py": "\n# TODO(foo): encode\n",
            "docs/source/en/api/pipelines/foo.md": "<!-- TODO(foo): introduce -->\n",
            ".scaffold/foo/parity.py": "# TODO(foo): import the reference\n",
            "src/diffusers/pipelines/bar/pipeline_bar.py": "# TODO(foo): elsewhere\n",
        },
    )
    assert todos(snapshot, "foo") == [
        Todo(".scaffold/foo/parity.py", 1, "import the reference"),
        Todo("docs/source/en/api/pipelines/foo.md", 1, "introduce"),
        Todo(MODEL, 1, "port"),
        Todo("src/diffusers/pipelines/foo/pipeline_foo.py", 2, "encode"),
    ]


def test_files_of_the_manifest_are_looked_at_where_they_still_exist() -> None:
    manifest = {
        "base_commit": "0" * 40,
        "branch": None,
        "created": {"src/diffusers/models/other.py": "", "src/diffusers/models/gone.py": ""},
        "edited": {"src/diffusers/loaders/lora_pipeline.py": [["loaders", "FooLoraLoaderMixin"]]},
    }
    snapshot = Snapshot(
        None,
        {
            ".scaffold/foo/manifest.json": json.dumps(manifest),
            "src/diffusers/models/other.py": "# TODO(foo): one\n",
            "src/diffusers/loaders/lora_pipeline.py": "# TODO(foo): two\n",
        },
    )
    assert [todo.text for todo in todos(snapshot, "foo")] == ["two", "one"]


def test_nothing_left_is_an_empty_list() -> None:
    assert todos(Snapshot(None, {MODEL: "class Foo: ...\n"}), "foo") == []


def test_an_unknown_model_is_bad_input() -> None:
    with pytest.raises(BadInput, match="there are no files of a model named bar here"):
        todos(Snapshot(None, {MODEL: "# TODO(foo): port\n"}), "bar")
