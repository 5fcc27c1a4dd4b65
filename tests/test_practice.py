"""Practice checkouts, made from a small wheel of our own in the shape of the released one."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scaffold_model import practice as module
from scaffold_model.checkout import find_checkout
from scaffold_model.code import toc
from scaffold_model.errors import BadInput, ScaffoldError
from scaffold_model.practice import ABSENT, NoRelease, own_files, practice

FILES = {
    "diffusers/__init__.py": "_import_structure = {}\n",
    "diffusers/models/modeling_utils.py": "class ModelMixin: ...\n",
    "diffusers-1.2.0.dist-info/licenses/LICENSE": "A licence.\n",
    "diffusers-1.2.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: diffusers\nVersion: 1.2.0\n",
    "diffusers-1.2.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "diffusers-1.2.0.dist-info/RECORD": "",
}


def make_wheel(folder: Path, version: str = "1.2.0") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"diffusers-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for index, (name, text) in enumerate(FILES.items()):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 2 * index)), text)
    return wheel


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise NoRelease("no Python with pip was found")

    monkeypatch.setattr(module, "_pip", refuse)


def test_a_checkout_from_a_cached_release(tmp_path: Path, no_pip: None) -> None:
    make_wheel(tmp_path / "cache")
    steps: list[str] = []
    made = practice(tmp_path / "new" / "demo", steps.append, "1.2.0", cache=tmp_path / "cache")
    root = made.directory
    assert (root, made.version, made.notices) == (tmp_path / "new" / "demo", "1.2.0", (ABSENT,))
    assert steps == [f"unpacking diffusers 1.2.0 into {root}"]
    assert find_checkout(root) == root.resolve()
    tracked = git(root, "ls-files").splitlines()
    assert tracked == sorted(
        [*own_files("1.2.0"), "LICENSE", "src/diffusers/__init__.py", "src/diffusers/models/modeling_utils.py"]
    )
    assert (root / "src/diffusers/__init__.py").read_text() == FILES["diffusers/__init__.py"]
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "log", "--format=%an %cd %s", "--date=format-local:%Y") == (
        "scaffold-model practice 2026 diffusers 1.2.0, as released"
    )
    assert list((tmp_path / "new").iterdir()) == [root]


def test_the_commit_is_always_the_same(tmp_path: Path, no_pip: None, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(tmp_path / "cache")
    first = practice(tmp_path / "one", print, "1.2.0", cache=tmp_path / "cache")
    config = tmp_path / "gitconfig"
    config.write_text("[user]\nname = Someone\n[commit]\ngpgsign = true\n[core]\nautocrlf = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Someone Else")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    (tmp_path / "two").mkdir()
    second = practice(tmp_path / "two", print, "1.2.0", cache=tmp_path / "cache")
    assert first.commit == second.commit == git(tmp_path / "two", "rev-parse", "HEAD")


def test_without_a_network_the_newest_cached_release_is_used_and_said(tmp_path: Path, no_pip: None) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        make_wheel(tmp_path / "cache", version)
    made = practice(tmp_path / "demo", print, cache=tmp_path / "cache")
    assert made.version == "1.10.0"
    assert made.notices[0] == ("no Python with pip was found; the newest release downloaded before is used, 1.10.0")


def test_without_pip_and_cache_it_is_one_line(tmp_path: Path, no_pip: None) -> None:
    with pytest.raises(NoRelease) as caught:
        practice(tmp_path / "demo", print, cache=tmp_path / "cache")
    assert caught.value.line == "no Python with pip was found"
    assert not (tmp_path / "demo").exists()


def test_pip_fetches_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real pip, with a folder in place of the index."""
    make_wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    made = practice(tmp_path / "demo", print, cache=tmp_path / "cache")
    assert (made.version, made.notices) == ("1.2.0", (ABSENT,))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["diffusers-1.2.0-py3-none-any.whl"]
    with pytest.raises(
        NoRelease, match=r"pip could not download diffusers 9\.9: No matching distribution found"
    ) as caught:
        practice(tmp_path / "other", print, "9.9", cache=tmp_path / "cache")
    assert "\n" not in caught.value.line


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("full", None, "exists and is not an empty folder"),
        ("file", None, "exists and is not an empty folder"),
        ("new", "latest; rm", "is no version of diffusers"),
    ],
)
def test_bad_input_changes_nothing(tmp_path: Path, name: str, version: str | None, message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=message):
        practice(tmp_path / name, print, version, cache=tmp_path / "cache")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_download_is_thrown_away(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "cache")
    wheel.write_bytes(wheel.read_bytes()[:100])
    with pytest.raises(ScaffoldError, match="was damaged"):
        practice(tmp_path / "demo", print, "1.2.0", cache=tmp_path / "cache")
    assert not wheel.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache"]


def test_every_page_of_the_table_of_contents_is_there_and_the_other_way_round() -> None:
    files = own_files("1.2.0")
    pages = {path.removeprefix("docs/source/en/").removesuffix(".md") for path in files if path.endswith(".md")}
    listed = [item.local for item in toc.items(files["docs/source/en/_toctree.yml"]) if item.local]
    assert sorted(listed) == sorted(pages - {"README"})


def test_the_python_of_this_test_has_pip_or_one_on_path_has() -> None:
    python = module._pip()
    assert subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    assert python == sys.executable or Path(python).name.startswith("python")
