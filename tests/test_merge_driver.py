"""The merge driver as git runs it, in throw-away repositories."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import clone_of, run_command

from scaffold_model.merge_driver import PATTERNS, command, drive, with_block, without_block

ROOT_INIT = """\
_import_structure = {"models": []}

if is_torch_available():
    _import_structure["models"].extend(
        [
            "BarModel",
            "QuxModel",
        ]
    )
"""
PATH = "src/diffusers/__init__.py"


def git(repository: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=check)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What passes for a checkout of diffusers, on branch main."""
    root = tmp_path / "a folder's checkout"
    (root / "src/diffusers/models").mkdir(parents=True)
    (root / PATH).write_text(ROOT_INIT)
    (root / "src/diffusers/models/modeling_utils.py").write_text("\n")
    git(root, "init", "--quiet", "--initial-branch", "main")
    for key, value in (("user.name", "Test"), ("user.email", "test@example.com"), ("core.autocrlf", "false")):
        git(root, "config", key, value)
    commit(root, "base")
    return root


def commit(repository: Path, message: str) -> None:
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", message)


def branch(repository: Path, name: str, text: str) -> None:
    """A branch off main on which the root init reads ``text``."""
    git(repository, "checkout", "--quiet", "-b", name, "main")
    (repository / PATH).write_text(text, newline="")
    commit(repository, name)


def with_model(*names: str) -> str:
    return ROOT_INIT.replace(
        '            "BarModel",\n',
        '            "BarModel",\n' + "".join(f'            "{name}",\n' for name in names),
    )


def install(repository: Path, *arguments: str) -> str:
    done = run_command("merge-driver", *(arguments or ("--install",)), cwd=repository)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_merge_of_two_branches(repository: Path) -> None:
    branch(repository, "cat", with_model("CatModel"))
    branch(repository, "foo", with_model("FooModel"))
    assert git(repository, "merge", "--no-edit", "cat", check=False).returncode == 1
    git(repository, "merge", "--abort")
    assert (
        install(repository)
        == "installed: info/attributes, git config merge.scaffold-model.name, git config merge.scaffold-model.driver\n"
    )
    git(repository, "merge", "--no-edit", "cat")
    assert (repository / PATH).read_text() == with_model("CatModel", "FooModel")
    assert git(repository, "status", "--porcelain").stdout == ""


def test_rebase_and_cherry_pick(repository: Path) -> None:
    branch(repository, "cat", with_model("CatModel"))
    branch(repository, "dog", with_model("DogModel"))
    branch(repository, "foo", with_model("FooModel"))
    install(repository)
    git(repository, "rebase", "--quiet", "cat")
    assert (repository / PATH).read_text() == with_model("CatModel", "FooModel")
    git(repository, "cherry-pick", "dog")
    assert (repository / PATH).read_text() == with_model("CatModel", "DogModel", "FooModel")


def test_contradiction_stays_a_conflict(repository: Path) -> None:
    branch(repository, "cat", "VERSION = 1\n" + with_model("CatModel"))
    branch(repository, "foo", "VERSION = 2\n" + with_model("FooModel"))
    install(repository)
    assert git(repository, "merge", "--no-edit", "cat", check=False).returncode == 1
    text = (repository / PATH).read_text()
    head, rest = text.split("=======\n")
    assert head.startswith("<<<<<<< ")
    assert head.endswith("\nVERSION = 2\n")
    assert rest.startswith("VERSION = 1\n>>>>>>> ")
    assert rest.split("\n", 2)[2] == with_model("CatModel", "FooModel")
    assert git(repository, "diff", "--name-only", "--diff-filter=U").stdout == f"{PATH}\n"


def test_conflict_style_of_the_user(repository: Path) -> None:
    branch(repository, "cat", "VERSION = 1\n" + ROOT_INIT)
    branch(repository, "foo", "VERSION = 2\n" + ROOT_INIT)
    install(repository)
    git(repository, "config", "merge.conflictStyle", "diff3")
    assert git(repository, "merge", "--no-edit", "cat", check=False).returncode == 1
    assert "\n||||||| " in (repository / PATH).read_text()


def test_line_ends_in_a_real_merge(repository: Path) -> None:
    crlf = ROOT_INIT.replace("\n", "\r\n").removesuffix("\r\n")
    (repository / PATH).write_bytes(crlf.encode())
    commit(repository, "crlf")
    for name in ("Cat", "Foo"):
        git(repository, "checkout", "--quiet", "-b", name, "main")
        text = with_model(f"{name}Model").replace("\n", "\r\n").removesuffix("\r\n")
        (repository / PATH).write_bytes(text.encode())
        commit(repository, name)
    install(repository)
    git(repository, "merge", "--no-edit", "Cat")
    expected = with_model("CatModel", "FooModel").replace("\n", "\r\n").removesuffix("\r\n")
    assert (repository / PATH).read_bytes() == expected.encode()


def test_without_the_program_git_merges_as_ever(repository: Path) -> None:
    branch(repository, "cat", "VERSION = 1\n" + ROOT_INIT)
    branch(repository, "foo", ROOT_INIT + "\nEND = 1\n")
    branch(repository, "bad", "VERSION = 3\n" + ROOT_INIT)
    install(repository)
    driver = git(repository, "config", "merge.scaffold-model.driver").stdout.strip()
    program = driver.split(" merge-driver ")[0]
    git(repository, "config", "merge.scaffold-model.driver", driver.replace(program, "/nowhere/scaffold-model", 1))
    git(repository, "checkout", "--quiet", "foo")
    git(repository, "merge", "--no-edit", "cat")
    assert (repository / PATH).read_text() == "VERSION = 1\n" + ROOT_INIT + "\nEND = 1\n"
    assert git(repository, "merge", "--no-edit", "bad", check=False).returncode == 1
    assert "=======\nVERSION = 3\n" in (repository / PATH).read_text()


def test_what_is_no_utf_8_goes_to_git(repository: Path) -> None:
    install(repository)
    for name, line in (("cat", b"# \xff 1\n"), ("foo", b"# \xff 2\n")):
        git(repository, "checkout", "--quiet", "-b", name, "main")
        (repository / PATH).write_bytes(line + ROOT_INIT.encode())
        commit(repository, name)
    assert git(repository, "merge", "--no-edit", "cat", check=False).returncode == 1
    assert b"<<<<<<<" in (repository / PATH).read_bytes()


# --------------------------------------------------------------------------------------------------- set-up and its end


def state(repository: Path) -> dict[str, bytes | None]:
    files = [repository / ".git" / name for name in ("config", "info/attributes")]
    return {file.name: file.read_bytes() if file.exists() else None for file in files}


@pytest.mark.parametrize("attributes", [None, "", "*.bin -diff\n", "*.bin -diff", "# a\n\n\n", "a b\r\nc d\r\n"])
def test_installing_twice_and_taking_out(repository: Path, attributes: str | None) -> None:
    file = repository / ".git/info/attributes"
    file.unlink(missing_ok=True)
    if attributes is not None:
        file.write_bytes(attributes.encode())
    before = state(repository)
    install(repository)
    installed = state(repository)
    assert installed != before
    assert (installed["attributes"] or b"").decode().startswith(attributes or "")
    assert install(repository) == "already installed\n"
    assert state(repository) == installed
    assert git(repository, "status", "--porcelain", "--ignored").stdout == ""
    install(repository, "--uninstall")
    assert state(repository) == before
    assert install(repository, "--uninstall") == "already uninstalled\n"
    assert state(repository) == before


def test_lines_that_were_added_behind_the_block_stay() -> None:
    text = (with_block("a b\n") or "") + "c d\n"
    assert without_block(text) == "a b\nc d\n"
    assert without_block(with_block(text)) == "a b\nc d\n"
    assert without_block("a b\n") == "a b\n"


def test_dry_run_and_json(repository: Path) -> None:
    before = state(repository)
    planned = json.loads(install(repository, "--install", "--dry-run", "--json"))
    assert planned == {
        "status": "planned",
        "changes": [
            "info/attributes",
            "git config merge.scaffold-model.name",
            "git config merge.scaffold-model.driver",
        ],
    }
    assert state(repository) == before
    assert json.loads(install(repository, "--install", "--json"))["status"] == "applied"
    assert json.loads(install(repository, "--install", "--json")) == {"status": "unchanged", "changes": []}


def test_a_linked_worktree_shares_the_driver(repository: Path, tmp_path: Path) -> None:
    branch(repository, "cat", with_model("CatModel"))
    branch(repository, "foo", with_model("FooModel"))
    other = tmp_path / "linked"
    git(repository, "worktree", "add", "--quiet", str(other), "cat")
    install(other)
    git(other, "merge", "--no-edit", "foo")
    assert (other / PATH).read_text() == with_model("CatModel", "FooModel")


def test_every_pattern_names_the_driver(repository: Path) -> None:
    install(repository)
    paths = [
        PATH,
        "src/diffusers/models/__init__.py",
        "src/diffusers/pipelines/bar/__init__.py",
        "src/diffusers/utils/dummy_pt_objects.py",
        *(pattern[1:] for pattern in PATTERNS if "*" not in pattern),
    ]
    shown = git(repository, "check-attr", "merge", "--", *paths, "setup.py", "tests/models/__init__.py").stdout
    assert shown.splitlines() == [
        *(f"{path}: merge: scaffold-model" for path in paths),
        "setup.py: merge: unspecified",
        "tests/models/__init__.py: merge: unspecified",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say --install or --uninstall"),
        (("a", "b"), "a merge driver takes the files %O %A %B and the path %P"),
        (("--install", "a"), "--install takes no files"),
        (("nowhere/a", "nowhere/b", "nowhere/c", PATH), "nowhere/a can not be read"),
    ],
)
def test_bad_input(repository: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run_command("merge-driver", *arguments, cwd=repository)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_placeholders_that_git_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("base", "a = 1\n"), ("ours", "a = 2\n"), ("theirs", "a = 3\n")):
        Path(name).write_text(text)
    assert drive(("base", "ours", "theirs", PATH, "9", "%X", "%Y"))
    assert Path("ours").read_text() == f"{'<' * 9} ours\na = 2\n{'=' * 9}\na = 3\n{'>' * 9} theirs\n"


def test_command_names_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/__main__.py"])
    assert command().startswith(f"{sys.executable} -m scaffold_model merge-driver %O %A %B %P ")


# ------------------------------------------------------------------------------------------------------ the real thing


@pytest.mark.checkout
def test_two_models_registered_on_two_branches(pristine: Path, tmp_path: Path) -> None:
    """Two models that would stand side by side in every registry, merged both ways, give what registering both gives."""
    merged = {}
    for first, second in (("yak_image", "yam_image"), ("yam_image", "yak_image")):
        root = clone_of(pristine, tmp_path / first)
        start = git(root, "rev-parse", "HEAD").stdout.strip()
        install(root)
        for name in (first, second):
            git(root, "checkout", "--quiet", "-b", name, start)
            done = run_command("--name", name, "--both", "--lora", "-y", cwd=root)
            assert done.returncode == 0, done.stderr
            commit(root, name)
        git(root, "merge", "--no-edit", first)
        names = git(root, "diff", "--name-only", start).stdout.split()
        merged[first] = {path: (root / path).read_text() for path in names}
        registered = run_command("register", "--dry-run", "--json", cwd=root)
        assert json.loads(registered.stdout)["status"] == "unchanged", registered.stdout
    # Additions at one place of a list that nobody sorts: ours come first.
    unsorted = (
        "docs/source/en/api/loaders/lora.md",
        "src/diffusers/loaders/__init__.py",
        "src/diffusers/loaders/lora_pipeline.py",
        "src/diffusers/modular_pipelines/__init__.py",
        "src/diffusers/modular_pipelines/modular_pipeline.py",
        "src/diffusers/pipelines/__init__.py",
    )
    for path, text in merged["yak_image"].items():
        other = merged["yam_image"][path]
        assert sorted(text.splitlines()) == sorted(other.splitlines()), path
        assert text == other or path in unsorted, path
