from __future__ import annotations

from scaffold_model.older.lora_scale import scaled_by_hand

TODAY = '''\
from ...utils import apply_lora_scale, deprecate


class Model:
    @apply_lora_scale("attention_kwargs")
    def forward(self, x, attention_kwargs=None, return_dict=True):
        """Text."""
        x = self.proj(x)
        # 3. Output
        if not return_dict:
            return (x,)

        return Output(x)
'''

OLDER = '''\
from ...utils import USE_PEFT_BACKEND, scale_lora_layers, unscale_lora_layers, deprecate


class Model:
    def forward(self, x, attention_kwargs=None, return_dict=True):
        """Text."""

        if attention_kwargs is not None:
            attention_kwargs = attention_kwargs.copy()
            lora_scale = attention_kwargs.pop("scale", 1.0)
        else:
            lora_scale = 1.0

        if USE_PEFT_BACKEND:
            # weight the lora layers by setting `lora_scale` for each PEFT layer
            scale_lora_layers(self, lora_scale)

        x = self.proj(x)

        if USE_PEFT_BACKEND:
            # remove `lora_scale` from each PEFT layer
            unscale_lora_layers(self, lora_scale)

        # 3. Output
        if not return_dict:
            return (x,)

        return Output(x)
'''


def test_the_scale_is_set_and_reset_by_hand() -> None:
    assert scaled_by_hand(TODAY) == OLDER
    assert scaled_by_hand(OLDER) == OLDER


def test_a_function_without_docstring() -> None:
    text = '@apply_lora_scale("kwargs")\ndef forward(x, kwargs):\n    return x\n'
    assert scaled_by_hand(text) == (
        "def forward(x, kwargs):\n"
        "    if kwargs is not None:\n"
        "        kwargs = kwargs.copy()\n"
        '        lora_scale = kwargs.pop("scale", 1.0)\n'
        "    else:\n"
        "        lora_scale = 1.0\n"
        "\n"
        "    if USE_PEFT_BACKEND:\n"
        "        # weight the lora layers by setting `lora_scale` for each PEFT layer\n"
        "        scale_lora_layers(self, lora_scale)\n"
        "\n"
        "    if USE_PEFT_BACKEND:\n"
        "        # remove `lora_scale` from each PEFT layer\n"
        "        unscale_lora_layers(self, lora_scale)\n"
        "\n"
        "    return x\n"
    )
