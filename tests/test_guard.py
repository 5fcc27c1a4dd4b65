"""An insertion is exactly what was asked for, or it is refused with the file's name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from conftest import guarded_insert

from scaffold_model.errors import AnchorNotFound, BrokenFile
from scaffold_model.registries import loaders_structure
from scaffold_model.registries.base import Entry, Listed


@dataclass
class Stub:
    """A registry that lists the lines of a file, with an insertion of the test's own."""

    edit: Callable[[str], str]
    NAME: str = "stub"

    def entries(self, subject: object, conventions: object, snapshot: object) -> Iterable[Entry]:
        return ()

    def listed(self, source: str) -> list[Listed]:
        return [Listed(line, "", number) for number, line in enumerate(source.split("\n"), 1) if line]

    def insert(self, source: str, entry: Entry) -> str:
        return self.edit(source)

    def remove(self, source: str, entry: Entry) -> str:
        return source


ENTRY = Entry("stub", "x.py", "B")
REFUSED = "x.py: B can not be added to stub, which is written in a form that is not understood; "


def test_what_was_asked_for_goes_through() -> None:
    assert guarded_insert(Stub(lambda source: f"{source}B\n"), "A\n", ENTRY) == "A\nB\n"
    assert guarded_insert(Stub(lambda source: source), "A\nB\n", ENTRY) == "A\nB\n"


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param(lambda source: source, id="nothing"),
        pytest.param(lambda source: f"{source}B\nB\n", id="twice"),
        pytest.param(lambda source: f"{source}B\nC\n", id="more"),
        pytest.param(lambda source: "B\n", id="something else is lost"),
        pytest.param(lambda source: f"{source}C\n", id="another one"),
        pytest.param(lambda source: f"{source}B\n(\n", id="no Python any more"),
        pytest.param(lambda source: [][1], id="a stumble"),
    ],
)
def test_anything_else_is_refused(edited: Callable[[str], str]) -> None:
    with pytest.raises(BrokenFile) as caught:
        guarded_insert(Stub(edited), "A\n", ENTRY)
    assert caught.value.line.startswith(REFUSED)


def test_what_was_broken_before_is_refused_with_its_line() -> None:
    with pytest.raises(BrokenFile, match="syntax error in line 2"):
        guarded_insert(Stub(lambda source: f"{source}B\n"), "A\n(\n", ENTRY)


def test_a_refusal_of_the_registry_stays_what_it_is() -> None:
    def refuse(source: str) -> str:
        raise AnchorNotFound("x.py", "the anchor")

    with pytest.raises(AnchorNotFound, match="the anchor"):
        guarded_insert(Stub(refuse), "A\n", ENTRY)


def test_a_tuple_that_shares_its_line_is_not_passed_over_in_silence() -> None:
    """Found by fuzzing: the rewriting looked for lists alone, and left the file as it was without a word."""
    source = '_import_structure = {}\n_import_structure["lora_pipeline"] = ("A", "B")\n'
    entry = Entry("loaders_structure", "x.py", "C", "lora_pipeline")
    with pytest.raises(BrokenFile, match="C can not be added to loaders_structure"):
        guarded_insert(loaders_structure, source, entry)
