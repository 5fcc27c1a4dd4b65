"""Which diffusers and which Python are used, in the order that is promised, and said aloud."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scaffold_model.errors import BadInput, NotACheckout
from scaffold_model.parity import choose


def checkout(folder: Path) -> Path:
    (folder / "src/diffusers/models").mkdir(parents=True)
    (folder / "src/diffusers/__init__.py").write_text("_import_structure = {}\n")
    (folder / "src/diffusers/models/modeling_utils.py").write_text("")
    return folder.resolve()


@pytest.fixture
def lacks(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """What each Python lacks, by its path; by default nothing."""
    found: dict[str, set[str]] = {}
    monkeypatch.setattr(
        choose, "missing_modules", lambda python, names: [name for name in names if name in found.get(python, ())]
    )
    return found


def test_the_order_of_the_checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: dict[str, set[str]]
) -> None:
    named, around, variable, cached = (checkout(tmp_path / name) for name in ("named", "around", "variable", "cached"))
    monkeypatch.setattr(choose, "CACHED", cached)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / ".git").mkdir(parents=True)
    said: list[str] = []

    def used(option: Path | None, folder: Path, **environ: str) -> Path | None:
        monkeypatch.chdir(folder)
        return choose.diffusers_and_python(option, sys.executable, said.append, environ)[0]

    assert used(named, around, DIFFUSERS_CHECKOUT=str(variable)) == named
    assert used(None, around / "src", DIFFUSERS_CHECKOUT=str(variable)) == around
    assert used(None, elsewhere, DIFFUSERS_CHECKOUT=str(variable)) == variable
    assert used(None, elsewhere) is None
    lacks[sys.executable] = {"diffusers"}
    assert used(None, elsewhere) == cached
    python = f"run by {sys.executable}"
    assert said == [
        f"Using diffusers of {named} (--checkout), {python}",
        f"Using diffusers of {around} (around the current folder), {python}",
        f"Using diffusers of {variable} (DIFFUSERS_CHECKOUT), {python}",
        f"Using the diffusers that the Python has installed, {python}",
        f"Using diffusers of {cached} (the clone in the cache folder), {python}",
    ]
    with pytest.raises(NotACheckout):
        used(elsewhere, around)
    monkeypatch.setattr(choose, "CACHED", tmp_path / "nothing")
    with pytest.raises(BadInput, match="no diffusers: this folder is in no checkout"):
        used(None, elsewhere)


def test_a_python_with_torch_is_looked_for_where_none_is_named(tmp_path: Path, lacks: dict[str, set[str]]) -> None:
    root = checkout(tmp_path / "checkout")
    usual, other = tmp_path / "venv/bin/python", tmp_path / "other"
    for path in (usual, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        path.chmod(0o755)
    environ = {"VIRTUAL_ENV": str(tmp_path / "venv"), "SCAFFOLD_MODEL_PYTHON": str(other)}

    def used(option: str | None) -> str:
        return choose.diffusers_and_python(root, option, lambda _: None, environ)[1]

    assert used(None) == str(usual)
    lacks[str(usual)] = {"torch"}
    assert used(None) == sys.executable
    lacks[sys.executable] = {"torch"}
    assert used(None) == str(other)
    assert used(str(usual)) == str(usual)
    # Where none has it, the usual one is named in the refusal.
    lacks[str(other)] = {"torch"}
    assert used(None) == str(usual)
