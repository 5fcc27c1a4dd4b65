from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import dummy_objects
from scaffold_model.registries.base import Entry


def test_a_class_between_others_in_the_order_of_the_root() -> None:
    block = dummy_objects.CLASS.format
    head = "from ..utils import DummyObject, requires_backends\n\n\n"
    blocks = [
        block(name=name, backends='["torch", "transformers"]') for name in ("APipeline", "BPipeline", "CPipeline")
    ]
    before = head + blocks[0] + "\n\n" + blocks[2]
    after = head + "\n\n".join(blocks)
    order = ("APipeline", "BPipeline", "CPipeline")
    entry = Entry("dummy_objects", "x", "BPipeline", backends=("torch", "transformers"), order=order)
    checks.check(dummy_objects, before, entry, after)


def test_the_first_and_the_last_class() -> None:
    head = "from ..utils import DummyObject, requires_backends\n\n\n"
    block = dummy_objects.CLASS.format
    middle = block(name="B", backends='["torch"]').replace("B(", "Bar(")
    for name in ("Aaa", "Ccc"):
        new = block(name=name, backends='["torch"]')
        after = head + (f"{new}\n\n{middle}" if name == "Aaa" else f"{middle}\n\n{new}")
        entry = Entry("dummy_objects", "x", name, backends=("torch",), order=("Aaa", "Bar", "Ccc"))
        checks.check(dummy_objects, head + middle, entry, after)


def test_a_placeholder_goes_before_one_that_opens_the_file() -> None:
    before = 'def zoo(*args, **kwargs):\n    requires_backends(zoo, ["torch"])\n'
    entry = Entry("dummy_objects", "", "bar", backends=("torch",), order=("bar", "zoo"))
    assert dummy_objects.insert(before, entry) == before.replace("zoo", "bar") + "\n\n" + before
