"""``# Copied from`` blocks, filled from the checkout that is being scaffolded.

A template holds header and stub::

    # Copied from diffusers.pipelines.flux.pipeline_flux.calculate_shift
    def calculate_shift(): ...

and nothing of diffusers' text. Filling takes signature and body from the source that the header names, with the
renames that the checkout's ``utils/check_copies.py`` would apply, and adds the imports that the body needs.
"""

from __future__ import annotations

from .filling import fill
from .headers import unfilled

__all__ = ["fill", "unfilled"]
