"""TransformerBlockRegistry of ``hooks/_helpers.py``: which of a block's outputs are which hidden states, for caches.

Before:
    def _register_transformer_blocks_metadata():
        from ..models.bar import BarBlock

        # BarBlock
        TransformerBlockRegistry.register(
            model_class=BarBlock,
            metadata=TransformerBlockMetadata(
                return_hidden_states_index=0,
                return_encoder_hidden_states_index=None,
            ),
        )

Entry: Entry("hooks_blocks", "", "FooBlock", "models.foo", "1,0")

After:
    def _register_transformer_blocks_metadata():
        from ..models.bar import BarBlock
        from ..models.foo import FooBlock

        # BarBlock
        TransformerBlockRegistry.register(
            model_class=BarBlock,
            metadata=TransformerBlockMetadata(
                return_hidden_states_index=0,
                return_encoder_hidden_states_index=None,
            ),
        )

        # FooBlock
        TransformerBlockRegistry.register(
            model_class=FooBlock,
            metadata=TransformerBlockMetadata(
                return_hidden_states_index=1,
                return_encoder_hidden_states_index=0,
            ),
        )
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..plan import Export
from . import hook_calls
from .base import ROOT, Entry, Listed, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "hooks_blocks"
PATH = hook_calls.PATH
REGISTRY = "TransformerBlockRegistry"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if not isinstance(subject, Export) or not hook_calls.is_transformer(subject) or not snapshot.exists(PATH):
        return
    classes = hook_calls.bodies(snapshot.read(subject.path) or "")
    model = classes.get(subject.name, "")
    # The blocks that the model itself is made of; those of a refiner inside it are no matter of the hooks.
    for name in dict.fromkeys(re.findall(r"\b(\w+Block)\(", model)):
        if name in classes:
            module = subject.path.removeprefix(f"{ROOT}/").removesuffix(".py").replace("/", ".")
            indices = _indices(hook_calls.returned(classes[name]))
            yield Entry(NAME, PATH, name, module, indices, width=conventions.line_length)


def listed(source: str) -> list[Listed]:
    return hook_calls.listed(source, REGISTRY)


def insert(source: str, entry: Entry) -> str:
    hidden, encoder = entry.value.split(",")
    metadata = (
        f"TransformerBlockMetadata(\n            return_hidden_states_index={hidden},\n"
        f"            return_encoder_hidden_states_index={encoder},\n        )"
    )
    return hook_calls.insert(source, entry, REGISTRY, metadata)


def remove(source: str, entry: Entry) -> str:
    return hook_calls.remove(source, entry, REGISTRY)


def _indices(names: tuple[str, ...]) -> str:
    """Where the two hidden states are among the outputs of a block."""
    if len(names) < 2:
        return "0,None"
    encoder = next((index for index, name in enumerate(names) if re.search("encoder|context|text|txt", name)), None)
    return f"{0 if encoder != 0 else 1},{encoder}"
