from __future__ import annotations

import pytest

from scaffold_model.errors import AnchorNotFound
from scaffold_model.registries import lora_docs
from scaffold_model.registries.base import Entry


def test_a_page_without_the_base_class_is_an_error() -> None:
    entry = Entry("lora_docs", "lora.md", "FooLoraLoaderMixin", "api/pipelines/foo", "Foo")
    with pytest.raises(AnchorNotFound, match="LoraBaseMixin"):
        lora_docs.insert("# LoRA\n", entry)
