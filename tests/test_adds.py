"""``tools/adds.py``: it edits what it says, sees what is lost, and leaves no kind of `add` out."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT, load_tool, run_command

from scaffold_model.add_command import add

TOOLS = ROOT / "tools"


@pytest.mark.checkout
def test_eleven_places_of_either_format_are_edited_and_what_is_lost_is_found(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    adds = load_tool("adds")
    for shape in ("--modular", "--standard"):
        run_command("--name", "foo", shape, "-y", cwd=checkout)
        adds.commit(checkout, "The scaffold")
        assert adds.edit_by_hand(checkout) == 11
        adds.commit(checkout, "By hand")
        assert adds.lost_lines(checkout) == []
        script = checkout / "scripts/convert_foo_to_diffusers.py"
        script.write_text(script.read_text(encoding="utf-8").replace("# By hand.\n", ""), encoding="utf-8")
        assert adds.lost_lines(checkout) == ["scripts/convert_foo_to_diffusers.py: # By hand."]
        adds.git(checkout, "reset", "--quiet", "--hard", "HEAD~2")
        run_command("remove", "foo", "--force", cwd=checkout)


def test_every_option_of_the_command_is_in_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    adds = load_tool("adds")
    options = {word for _, added in adds.KINDS.values() for word in added.split() if word.startswith("--")}
    known = {option for parameter in add.params for option in parameter.opts}
    assert known - options <= {"name", "--python", "--checkout", "--dry-run", "--json", "-y", "--yes"}
