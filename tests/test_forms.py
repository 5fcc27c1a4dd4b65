"""Files in the forms that checkouts have: kept as they are, or refused; never written in another form."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import git_status, run_command

from scaffold_model.report import print_json

MODELS = "src/diffusers/models/__init__.py"
TRANSFORMERS = "src/diffusers/models/transformers/__init__.py"
ROOT_INIT = "src/diffusers/__init__.py"
TOCTREE = "docs/source/en/_toctree.yml"
MODULAR = "src/diffusers/modular_pipelines/__init__.py"


@pytest.mark.checkout
def test_line_ends_a_missing_last_one_and_modes_are_kept(checkout: Path) -> None:
    forms: dict[str, Callable[[bytes], bytes]] = {
        MODELS: lambda data: data.replace(b"\n", b"\r\n"),
        MODULAR: lambda data: data.rstrip(b"\n"),
        # The docs' parser takes a mark at the beginning, as YAML does.
        TOCTREE: lambda data: b"\xef\xbb\xbf" + data,
    }
    before = {}
    for path, form in forms.items():
        before[path] = form((checkout / path).read_bytes())
        (checkout / path).write_bytes(before[path])
    (checkout / TRANSFORMERS).chmod(0o755)
    done = run_command("--name", "foo", "-y", cwd=checkout)
    assert done.returncode == 0, done.stderr
    after = {path: (checkout / path).read_bytes() for path in forms}
    assert after[MODELS].count(b"\r\n") == after[MODELS].count(b"\n") == before[MODELS].count(b"\n") + 2
    assert not after[MODULAR].endswith(b"\n")
    assert after[TOCTREE].startswith(b"\xef\xbb\xbf")
    assert stat.S_IMODE((checkout / TRANSFORMERS).stat().st_mode) == 0o755
    assert run_command("remove", "foo", cwd=checkout).returncode == 0
    assert {path: (checkout / path).read_bytes() for path in forms} == before
    assert stat.S_IMODE((checkout / TRANSFORMERS).stat().st_mode) == 0o755


@pytest.mark.checkout
def test_what_could_not_be_kept_is_refused(checkout: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    def mark(path: Path) -> None:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    def latin(path: Path) -> None:
        path.write_bytes(path.read_bytes() + b"# caf\xe9\n")

    def second_name(path: Path) -> None:
        os.link(path, outside / "second")

    def link(path: Path) -> None:
        path.rename(outside / "real")
        path.symlink_to(outside / "real")

    def linked_folder(path: Path) -> None:
        path.parent.rename(outside / "folder")
        path.parent.symlink_to(outside / "folder")

    cases = (
        (MODELS, mark, "syntax error in line 1"),
        (ROOT_INIT, latin, "is not valid UTF-8"),
        (ROOT_INIT, second_name, "has a second name (a hard link)"),
        (TRANSFORMERS, link, "is a symbolic link"),
        (TRANSFORMERS, linked_folder, "is reached through a symbolic link"),
    )
    for path, spoil, message in cases:
        spoil(checkout / path)
        state, held = git_status(checkout), (checkout / path).read_bytes()
        done = run_command("--name", "foo", "--json", cwd=checkout)
        assert done.returncode == 2, message
        assert message in json.loads(done.stdout)["error"]["message"]
        assert (git_status(checkout), (checkout / path).read_bytes()) == (state, held)
        if spoil is linked_folder:
            (checkout / path).parent.unlink()
            (outside / "folder").rename((checkout / path).parent)
        (checkout / path).unlink()
        subprocess.run(["git", "-C", str(checkout), "checkout", "--quiet", "."], check=True)
    assert git_status(checkout) == ""


@pytest.mark.checkout
def test_an_exclude_file_of_any_form_is_extended_or_refused(checkout: Path, tmp_path: Path) -> None:
    exclude = checkout / ".git/info/exclude"
    exclude.write_bytes(b"caf\xe9\r\nno end")
    assert run_command("--name", "foo", "-y", cwd=checkout).returncode == 0
    assert exclude.read_bytes() == b"caf\xe9\r\nno end\n/.scaffold/\n"
    assert run_command("remove", "foo", cwd=checkout).returncode == 0
    exclude.unlink()
    exclude.symlink_to(tmp_path / "shared")
    (tmp_path / "shared").write_bytes(b"mine\n")
    done = run_command("--name", "foo", "-y", cwd=checkout)
    assert done.returncode == 2
    assert "exclude: is a symbolic link; add the line /.scaffold/ to it and run again" in done.stderr
    assert (tmp_path / "shared").read_bytes() == b"mine\n"
    assert git_status(checkout) == ""


def test_json_is_json_whatever_the_terminal_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"path": "ü/日本"}
    for encoding in ("ascii", "latin-1", "utf-8", "UTF8"):
        raw = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
        print_json(value)
        assert json.loads(raw.getvalue().decode(encoding)) == value


@pytest.mark.checkout
def test_a_full_disk_for_the_real_command_writes_nothing(checkout: Path) -> None:
    """A quota for the size of files stands for a full disk: the kernel refuses the write in its middle."""
    command = ["bash", "-c", 'ulimit -f 2; trap "" XFSZ; exec "$@"', "bash", sys.executable, "-m", "scaffold_model"]
    path = checkout / "src/diffusers/models/transformers/transformer_qux.py"
    path.write_text("from ..modeling_utils import ModelMixin\n\n\nclass QuxModel(ModelMixin):\n    pass\n")
    before = git_status(checkout)
    done = subprocess.run([*command, "register", "--json"], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "could not be written" in json.loads(done.stdout)["error"]["message"]
    assert git_status(checkout) == before
    assert not (checkout / ".git/scaffold-model").exists()
