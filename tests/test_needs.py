from __future__ import annotations

import pytest

from scaffold_model.errors import BadInput
from scaffold_model.needs import check_needs
from scaffold_model.snapshot import Snapshot

CHECKOUT = {
    "src/diffusers/models/__init__.py": '_import_structure["old"] = ["OldModel"]\n',
    "src/diffusers/models/attention.py": "class FeedForward: ...\n",
    "src/diffusers/utils/__init__.py": "from . import logging\n",
    "src/diffusers/utils/peft_utils.py": "",
}
MODEL = "src/diffusers/models/transformers/transformer_foo.py"
PIPELINE = "src/diffusers/pipelines/foo/pipeline_foo.py"


def check(text: str, path: str = MODEL, own: tuple[str, ...] = ()) -> None:
    files = {
        path: text,
        "src/diffusers/pipelines/foo/pipeline_output.py": "",
        "tests/test_foo.py": "from ..no import x\n",
    }
    check_needs(Snapshot(None, CHECKOUT), files, own)


def test_what_is_there() -> None:
    check(
        "import torch\nfrom torch import nn\nfrom ..attention import FeedForward\nfrom ...utils import logging, peft_utils\n"
    )
    check("from ...models import OldModel, FooModel\nfrom .pipeline_output import Any\n", PIPELINE, ("FooModel",))
    check("from ...utils.peft_utils import *\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "from ..attention import FeedForward, AttentionMixin\n",
            "src/diffusers/models/attention.py: this checkout has no AttentionMixin, "
            "which the generated models/transformers/transformer_foo.py needs; update the checkout",
        ),
        (
            "def run():\n    from .._modeling_parallel import Plan\n",
            "src/diffusers/models/_modeling_parallel.py: this checkout has no Plan, "
            "which the generated models/transformers/transformer_foo.py needs; update the checkout",
        ),
        (
            "from ... import FooModel, version\n",
            "src/diffusers.py: this checkout has no version, "
            "which the generated models/transformers/transformer_foo.py needs; update the checkout",
        ),
    ],
)
def test_what_is_not(text: str, line: str) -> None:
    with pytest.raises(BadInput) as refused:
        check(text, own=("FooModel",))
    assert refused.value.line == line
