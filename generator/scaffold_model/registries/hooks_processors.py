"""AttentionProcessorRegistry of ``hooks/_helpers.py``: what an attention processor returns where a cache skips it.

Before:
    def _register_attention_processors_metadata():
        from ..models.bar import BarAttnProcessor

        # BarAttnProcessor
        AttentionProcessorRegistry.register(
            model_class=BarAttnProcessor,
            metadata=AttentionProcessorMetadata(
                skip_processor_output_fn=_skip_proc_output_fn_Attention_BarAttnProcessor,
            ),
        )


    _skip_proc_output_fn_Attention_BarAttnProcessor = _skip_attention___ret___hidden_states

Entry: Entry("hooks_processors", "", "FooAttnProcessor", "models.foo", "hidden_states")

After:
    def _register_attention_processors_metadata():
        from ..models.bar import BarAttnProcessor
        from ..models.foo import FooAttnProcessor

        # BarAttnProcessor
        AttentionProcessorRegistry.register(
            model_class=BarAttnProcessor,
            metadata=AttentionProcessorMetadata(
                skip_processor_output_fn=_skip_proc_output_fn_Attention_BarAttnProcessor,
            ),
        )

        # FooAttnProcessor
        AttentionProcessorRegistry.register(
            model_class=FooAttnProcessor,
            metadata=AttentionProcessorMetadata(
                skip_processor_output_fn=_skip_proc_output_fn_Attention_FooAttnProcessor,
            ),
        )


    _skip_proc_output_fn_Attention_BarAttnProcessor = _skip_attention___ret___hidden_states
    _skip_proc_output_fn_Attention_FooAttnProcessor = _skip_attention___ret___hidden_states
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..code.text import insert_before
from ..errors import AnchorNotFound
from ..plan import Export
from . import hook_calls
from .base import ROOT, Entry, Listed, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "hooks_processors"
PATH = hook_calls.PATH
REGISTRY = "AttentionProcessorRegistry"
SKIP = "_skip_proc_output_fn_Attention_"
RETURNS = "_skip_attention___ret___"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if not isinstance(subject, Export) or not hook_calls.is_transformer(subject) or not snapshot.exists(PATH):
        return
    for name, body in hook_calls.bodies(snapshot.read(subject.path) or "").items():
        if re.search(r"AttnProcessor[\d_]*$", name):
            module = subject.path.removeprefix(f"{ROOT}/").removesuffix(".py").replace("/", ".")
            both = len(hook_calls.returned(body)) > 1
            value = "hidden_states___encoder_hidden_states" if both else "hidden_states"
            yield Entry(NAME, PATH, name, module, value, width=conventions.line_length)


def listed(source: str) -> list[Listed]:
    return hook_calls.listed(source, REGISTRY)


def insert(source: str, entry: Entry) -> str:
    if any(item.object == entry.object for item in listed(source)):
        return source
    last = list(re.finditer(rf"^{SKIP}\w+ = .*$", source, re.MULTILINE))
    if not last:
        raise AnchorNotFound(entry.path or PATH, f"the assignments to {SKIP}*")
    line = source.count("\n", 0, last[-1].start()) + 2
    source = insert_before(source, line, f"{SKIP}{entry.object} = {RETURNS}{entry.value}")
    metadata = f"AttentionProcessorMetadata(\n            skip_processor_output_fn={SKIP}{entry.object},\n        )"
    return hook_calls.insert(source, entry, REGISTRY, metadata)


def remove(source: str, entry: Entry) -> str:
    if not any(item.object == entry.object for item in listed(source)):
        return source
    without = hook_calls.remove(source, entry, REGISTRY)
    return re.sub(rf"^{SKIP}{entry.object} = [^\n]*(?:\n|\Z)", "", without, flags=re.MULTILINE)
