from __future__ import annotations

from scaffold_model.older.parallel import without_context_parallel

TODAY = """\
from .._modeling_parallel import ContextParallelInput, ContextParallelOutput
from ..attention_dispatch import dispatch_attention_fn


class Processor:
    _attention_backend = None
    _parallel_config = None

    def __call__(self, query, key, value):
        return dispatch_attention_fn(
            query,
            key,
            backend=self._attention_backend,
            # Under context parallelism only the image tokens are sharded.
            parallel_config=self._parallel_config,
        )


class Model:
    _repeated_blocks = ["Block"]
    # The latent is cut into patches inside the model.
    _cp_plan = {
        "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
    }
"""

OLDER = """\
from ..attention_dispatch import dispatch_attention_fn


class Processor:
    _attention_backend = None

    def __call__(self, query, key, value):
        return dispatch_attention_fn(
            query,
            key,
            backend=self._attention_backend,
        )


class Model:
    _repeated_blocks = ["Block"]
"""


def test_no_plan_where_there_is_no_context_parallelism() -> None:
    assert without_context_parallel(TODAY) == OLDER
    assert without_context_parallel(OLDER) == OLDER
