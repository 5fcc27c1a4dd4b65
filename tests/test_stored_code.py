"""Stored answers that generated code holds as they are: what our own answers look like, and everything else refused."""

from __future__ import annotations

import pytest

from scaffold_model.errors import BadInput
from scaffold_model.questions import VAES, default_traits
from scaffold_model.spec import ModelSpec
from scaffold_model.stored_code import keyword_arguments, size_of_autoencoder


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "vae.hop_length",
        "vae.config.scale_factor_spatial",
        "2 ** (len(vae.config.block_out_channels) - 1)",
        "2 ** sum(vae.config.temperal_downsample)",
        "vae.config.patch_size[1] * 8",
        "math.prod(vae.config.dec_strides)",
    ],
)
def test_sizes(text: str) -> None:
    assert size_of_autoencoder(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vae",
        "__import__('os').system('true')",
        "vae.__class__",
        "vae.config._internal_dict",
        "vae.decode(1)",
        "len([vae.decode(1)])",
        "(lambda: 1)()",
        "9 ** 9 ** 9",
        "2 ** (2 ** 64)",
        "vae.a if vae.b else vae.c",
        "vae.a\nimport os",
        "1 # a comment",
        "1;2",
        "True",
        "'text'",
        "other.config",
        "vae.a[vae.b()]",
        "math.prod([9] * 9)",
        "math.factorial(vae.a)",
        "os.prod(vae.a)",
        "math.prod(vae.a, start=9)",
        "(" * 150 + ")" * 150,
        "1 + " * 100 + "1",
    ],
)
def test_no_sizes(text: str) -> None:
    assert not size_of_autoencoder(text)
    with pytest.raises(BadInput, match=r"vae_spatial .* must be arithmetic"):
        ModelSpec(name="foo", vae_spatial=text or " ")


@pytest.mark.parametrize(
    "text",
    ["", "shift=3.0", "a=[1, 2], b=('x', None), c={'d': -1.5}", 'prediction_type="flow_prediction", flow_shift=3.0'],
)
def test_arguments(text: str) -> None:
    assert keyword_arguments(text)


@pytest.mark.parametrize(
    "text",
    [
        "3.0",
        "shift=open('x')",
        "shift=__import__('os')",
        "**{'shift': 3.0}",
        "shift=3.0) or f(shift=3.0",
        "shift=3.0); import os; f(shift=3.0",
        "shift=3.0 # a comment",
        "shift=shift",
        "shift=f'{1}'",
        "shift=",
        "shift=3.0, shift=3.0",
        "shift=[x for x in y]",
    ],
)
def test_no_arguments(text: str) -> None:
    assert not keyword_arguments(text)
    for question in ("scheduler_arguments", "vae_tiny"):
        with pytest.raises(BadInput, match=rf"{question} .* must be keyword arguments"):
            ModelSpec(name="foo", **{question: text})


def test_the_defaults_are_such() -> None:
    for modality, vae in VAES.items():
        for one in (vae, "new"):
            traits = default_traits(one, modality)
            assert size_of_autoencoder(str(traits["vae_spatial"]))
            assert size_of_autoencoder(str(traits["vae_temporal"]))
            assert size_of_autoencoder(str(traits["vae_sampling_rate"]))
