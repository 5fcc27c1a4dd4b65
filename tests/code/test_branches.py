from __future__ import annotations

import pytest

from scaffold_model.code import branches

SPACED = """\
def tell(checkpoint):
    if checkpoint is None:
        return None

    if "a" in checkpoint:
        kind = "a"

    elif (
        "b" in checkpoint
        and checkpoint["b"]
    ):
        if "c" in checkpoint:
            kind = "c"
        else:
            kind = "b"

    # What is left.
    else:
        kind = "x"

    return kind
"""
TIGHT = """\
def tell(checkpoint):
    if "a" in checkpoint:
        kind = "a"
    else:
        if checkpoint:
            kind = "x"
"""
NEW = '    elif any(k in x for k in K["d"]):\n        kind = "d"\n'
CONDITION = 'any(k in x for k in K["d"])'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SPACED, SPACED.replace("    # What is left.\n", f"{NEW}\n    # What is left.\n")),
        (
            SPACED.replace("    # What is left.\n", ""),
            SPACED.replace("    # What is left.\n", "").replace("\n    else", f"\n{NEW}\n    else"),
        ),
        (TIGHT, TIGHT.replace("    else", f"{NEW}    else")),
    ],
)
def test_a_branch_goes_in_before_the_else_and_out(before: str, after: str) -> None:
    assert branches.insert(before, "tell", CONDITION, 'kind = "d"') == after
    assert branches.remove(after, "tell", CONDITION) == before


def test_branches_have_their_conditions_and_lines() -> None:
    assert branches.find(SPACED, "tell") == (
        branches.Branch("'a' in checkpoint", 5, 6),
        branches.Branch("'b' in checkpoint and checkpoint['b']", 8, 15),
        branches.Branch("", 18, 19),
    )


@pytest.mark.parametrize(
    "source",
    [
        "def other(x):\n    if x:\n        y = 1\n    else:\n        y = 2\n",
        "def tell(x):\n    if x:\n        y = 1\n    elif x is None:\n        y = 2\n",
        "def tell(x):\n    return x\n",
    ],
)
def test_what_has_no_such_chain_is_left_alone(source: str) -> None:
    assert branches.insert(source, "tell", "x", "y = 3") is None
    assert branches.remove(source, "tell", "x") == source
