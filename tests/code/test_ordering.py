from __future__ import annotations

import pytest

from scaffold_model.code.ordering import (
    common_prefix,
    import_module_key,
    import_name_key,
    natural,
    object_key,
    sorted_position,
)


def test_natural_order_puts_ltx2_before_ltx25() -> None:
    names = ["apply_hook", "LTXPipeline", "LTX25Pipeline", "LTX2Pipeline", "KarrasVe", "UPPER_CASE"]
    assert sorted(names, key=import_name_key) == [
        "UPPER_CASE",
        "KarrasVe",
        "LTX2Pipeline",
        "LTX25Pipeline",
        "LTXPipeline",
        "apply_hook",
    ]


def test_the_init_sorter_puts_ltx25_before_ltx2() -> None:
    assert sorted(["LTX2Pipeline", "LTX25Pipeline", "logging", "A_B"], key=object_key) == [
        "A_B",
        "LTX25Pipeline",
        "LTX2Pipeline",
        "logging",
    ]


def test_modules_sort_naturally_with_digits_before_letters_and_underscores_before_letters() -> None:
    modules = ["kandinsky", "kandinsky2_2", "kandinsky5", "hunyuan_video", "hunyuan_video1_5", "hunyuandit"]
    assert sorted(modules, key=import_module_key) == [
        "hunyuan_video",
        "hunyuan_video1_5",
        "hunyuandit",
        "kandinsky",
        "kandinsky2_2",
        "kandinsky5",
    ]


@pytest.mark.parametrize(
    ("present", "new", "expected"),
    [
        ("", "b", 0),
        ("ac", "b", 1),
        ("bc", "a", 0),
        ("ab", "c", 2),
        ("abc", "b", 2),
        ("zabcd", "e", 5),
        ("bcda", "e", 4),
        ("dabc", "c", 4),
    ],
)
def test_the_place_with_the_fewest_neighbours_out_of_order(present: str, new: str, expected: int) -> None:
    assert sorted_position([(letter,) for letter in present], (new,)) == expected


def test_the_common_prefix_of_two_names() -> None:
    assert common_prefix("FluxPipeline", "Flux2Pipeline") == 4
    assert common_prefix("", "x") == 0


def test_natural_order_of_long_numbers_and_leading_zeros() -> None:
    names = ["AB", "A100000000000000000000", "A10", "A99999999999999999999", "A9"]
    expected = ["A9", "A10", "A99999999999999999999", "A100000000000000000000", "AB"]
    assert sorted(names, key=natural) == expected
    assert natural("A01") == natural("A1")
