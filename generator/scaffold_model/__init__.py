"""scaffold-model: lay out, register and check a new model in a checkout of Hugging Face diffusers."""

__version__ = "0.1.0"
