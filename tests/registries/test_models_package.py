from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import models_package
from scaffold_model.registries.base import Entry


def test_an_init_without_a_guard() -> None:
    before = "from .autoencoder_bar import AutoencoderBar\nfrom .vq_model import VQModel\n"
    after = (
        "from .autoencoder_bar import AutoencoderBar\nfrom .autoencoder_foo import AutoencoderFoo\n"
        "from .vq_model import VQModel\n"
    )
    entry = Entry("models_package", "x", "AutoencoderFoo", "autoencoder_foo", backends=("torch",))
    checks.check(models_package, before, entry, after)
