"""A newer template comes to a scaffold that lives: edits are kept, what conflicts is listed, nothing else is touched."""

from __future__ import annotations

import json
import locale
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, clone_of, git_status, run_command

from scaffold_model.errors import BadInput
from scaffold_model.manifest import Manifest, manifest_path
from scaffold_model.render import ADDRESS
from scaffold_model.snapshot import Snapshot
from scaffold_model.updating import Scaffold, check_files, check_place, merge_file
from scaffold_model.versions import Newest, recorded_version

TRANSFORMER = "src/diffusers/models/transformers/transformer_foo.py"
DECODERS = "src/diffusers/modular_pipelines/foo/decoders.py"
PAGE = "docs/source/en/api/pipelines/foo.md"
SCRIPT = "scripts/convert_foo_to_diffusers.py"
PARITY = ".scaffold/foo/parity.py"
MODULAR_INIT = "src/diffusers/modular_pipelines/__init__.py"
#: The names of the main job's tests: short, with digits, and so long that lines wrap; in every format.
NAMES = {
    "foo": [],
    "foo2": ["--standard"],
    "my_very_long_model_name_v15": ["--both", "--lora"],
    "sd4": ["--class-prefix", "SD4", "--title", "SD4"],
    "y_image": ["--both", "--attention", "cross"],
}


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True).stdout


class Template:
    """A clone of this project, whose template gets further versions and whose package runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        for key, value in (("user.name", "Test"), ("user.email", "test@example.com")):
            git(folder, "config", key, value)

    def change(self, pattern: str, *changes: tuple[str, str]) -> None:
        """Commit a version in which the file of the template has other text."""
        (path,) = self.folder.glob(f"template/{pattern}")
        text = path.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")
        git(self.folder, "commit", "-qam", "Another version")

    def run(self, checkout: Path, *arguments: str, code: int = 0, **environment: str) -> str:
        done = run_command(*arguments, cwd=checkout, **{"PYTHONPATH": str(self.folder / "generator"), **environment})
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code == 2 else done.stdout


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("template") / "clone")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.checkout
def test_a_scaffold_lives_through_template_versions(checkout: Path, template: Template) -> None:
    for name, flags in NAMES.items():
        template.run(checkout, "--name", name, *flags, "-y")
    assert json.loads(template.run(checkout, "update", "--all", "--check", "--json")) == {
        "updates": [
            {"name": name, "from": version, "to": version, "current": True}
            for version in [git(template.folder, "describe", "--always").strip()]
            for name in sorted(NAMES)
        ]
    }
    made = git_status(checkout) + git(checkout, "diff")
    assert "foo is up to date" in template.run(checkout, "update", "foo")
    assert git_status(checkout) + git(checkout, "diff") == made

    # One import and one parameter, and no edit: no conflict for any name.
    template.change(
        "src/diffusers/models/transformers/transformer_*",
        ("import torch.nn as nn\n", "import torch.nn as nn\nimport torch.nn.functional as F\n"),
        ("num_layers: int = 24", "num_layers: int = 28"),
    )
    assert "can be updated to" in template.run(checkout, "update", "foo", "--check", code=1)
    done = json.loads(template.run(checkout, "update", "--all", "--json"))["updates"]
    for one in done:
        name = one["name"]
        assert (one["status"], one["conflicts"], one["created"], one["removed"]) == ("applied", [], [], [])
        assert [edit["path"] for edit in one["edited"]] == [
            f"src/diffusers/models/transformers/transformer_{name}.py",
            f".scaffold/{name}/answers.yml",
            f".scaffold/{name}/manifest.json",
        ]
    assert "num_layers: int = 28" in (checkout / TRANSFORMER).read_text()
    assert '"unchanged"' in template.run(checkout, "register", "--json")

    # Ten edits on a dirty tree, one file deleted, one conflict; the harness is edited too.
    replace(checkout / TRANSFORMER, "num_layers: int = 28", "num_layers: int = 40")
    (checkout / PARITY).write_text("# My line.\n" + (checkout / PARITY).read_text() + "# My end.\n")
    (checkout / DECODERS).write_bytes(((checkout / DECODERS).read_text() + "# Mine.\n").replace("\n", "\r\n").encode())
    (checkout / PAGE).unlink()
    (checkout / "src/diffusers/optimization.py").write_text("# An edit beside the scaffold.\n")
    edited = {path: (checkout / path).read_bytes() for path in (PARITY, DECODERS)}
    template.change(
        "src/diffusers/models/transformers/transformer_*", ("num_layers: int = 28", "num_layers: int = 32")
    )
    template.change("docs/source/en/api/pipelines/*", ("\n# ", "\n\n# "))
    planned = template.run(checkout, "update", "foo", "--dry-run", code=1)
    assert "+<<<<<<< yours\n" in planned
    assert "num_layers: int = 40" in (checkout / TRANSFORMER).read_text()
    shown = json.loads(template.run(checkout, "update", "foo", "--json", code=1))["updates"][0]
    assert shown["conflicts"] == [TRANSFORMER]
    assert shown["notices"] == ["settle the conflicts, then run `scaffold-model register`"]
    text = (checkout / TRANSFORMER).read_text()
    assert (
        "<<<<<<< yours\n        num_layers: int = 40,\n=======\n        num_layers: int = 32,\n>>>>>>> template"
        in text
    )
    assert {path: (checkout / path).read_bytes() for path in edited} == edited
    assert not (checkout / PAGE).exists()
    assert (checkout / "src/diffusers/optimization.py").read_text() == "# An edit beside the scaffold.\n"
    start, rest = text.split("<<<<<<< yours\n")
    mine, rest = rest.split("=======\n")
    (checkout / TRANSFORMER).write_text(start + mine + rest.split("\n", 2)[2])
    assert "foo is up to date" in template.run(checkout, "update", "foo")

    # The harness is merged like any other file: the template's line comes, the contributor's lines stay.
    template.change(".scaffold/*/parity.py*", ("\nimport ", "\nimport antigravity  # noqa: F401\nimport "))
    assert json.loads(template.run(checkout, "update", "foo", "--json"))["updates"][0]["conflicts"] == []
    harness = (checkout / PARITY).read_text()
    assert harness.startswith("# My line.\n")
    assert harness.endswith("# My end.\n")
    assert "import antigravity" in harness
    assert '"unchanged"' in template.run(checkout, "register", "--json")

    # Another branch, where the files are not: nothing is brought back there.
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "Add models")
    branch = git(checkout, "branch", "--show-current").strip()
    base = git(checkout, "rev-parse", "HEAD~1").strip()
    git(checkout, "checkout", "-q", "-b", "elsewhere", "HEAD~1")
    template.change("scripts/*", ("\nimport ", "\nimport antigravity\nimport "))
    line = template.run(checkout, "update", "foo", code=2)
    assert "files of foo are not in this tree" in line
    assert f"the scaffold was made on {branch}, at commit {base[:12]}; go there and run again" in line
    assert git(checkout, "status", "--porcelain") == ""


@pytest.mark.checkout
def test_an_adopted_scaffold_is_updated(checkout: Path, template: Template) -> None:
    """A colleague's clone has no `.scaffold/`; what was edited before it was rebuilt counts as edited afterwards."""
    template.run(checkout, "--name", "foo", "-y")
    (checkout / TRANSFORMER).write_text((checkout / TRANSFORMER).read_text() + "\n\n# Mine.\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "Add Foo")
    git(checkout, "clean", "-fdxq")
    assert "adopt" in template.run(checkout, "update", "foo", code=2)
    template.run(checkout, "adopt", "foo", "-y")
    assert "foo is up to date" in template.run(checkout, "update", "foo")
    assert git(checkout, "status", "--porcelain") == ""
    template.change(
        "src/diffusers/models/transformers/transformer_*",
        ("import torch.nn as nn\n", "import torch.nn as nn\nimport math\n"),
        ("attention_head_dim: int = 64", "attention_head_dim: int = 96"),
    )
    shown = json.loads(template.run(checkout, "update", "foo", "--json"))["updates"][0]
    assert (shown["conflicts"], shown["created"], shown["removed"]) == ([], [], [])
    diff = git(checkout, "diff", "-U0")
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert lines == ["-        attention_head_dim: int = 64,", "+        attention_head_dim: int = 96,"]
    assert (checkout / TRANSFORMER).read_text().endswith("\n\n# Mine.\n")


@pytest.mark.checkout
def test_conventions_that_the_checkout_has_now(pristine: Path, tmp_path: Path, template: Template) -> None:
    checkout = clone_of(pristine, tmp_path / "diffusers")
    # Without either style of model tests there is nothing that generated tests could be made of.
    styles = [checkout / "tests/models" / path for path in ("testing_utils/__init__.py", "test_modeling_common.py")]
    texts = [path.read_bytes() for path in styles]
    for path in styles:
        path.unlink()
    template.run(checkout, "--name", "foo", "-y")
    assert not (checkout / "tests/modular_pipelines/foo").exists()
    replace(checkout / DECODERS, "import torch", "import math\n\nimport torch")
    mine = (checkout / DECODERS).read_bytes()
    for path, text in zip(styles, texts, strict=True):
        path.write_bytes(text)
    assert "foo is up to date" in template.run(checkout, "update", "foo")
    shown = json.loads(template.run(checkout, "update", "foo", "--conventions", "--json"))["updates"][0]
    assert "tests/modular_pipelines/foo/test_modular_pipeline_foo.py" in shown["created"]
    assert shown["conflicts"] == []
    assert (checkout / DECODERS).read_bytes() == mine
    assert "foo is up to date" in template.run(checkout, "update", "foo", "--conventions")
    template.run(checkout, "remove", "foo", "--force")
    assert git_status(checkout) == ""


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "add-foo")
    for key, value in (("user.name", "Test"), ("user.email", "test@example.com")):
        git(tmp_path, "config", key, value)
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    return tmp_path


@pytest.mark.parametrize(
    ("marker", "what"),
    [
        ("MERGE_HEAD", "a merge"),
        ("rebase-merge", "a rebase"),
        ("CHERRY_PICK_HEAD", "a cherry-pick"),
        ("REVERT_HEAD", "a revert"),
    ],
)
def test_the_middle_of_a_merge_is_refused(repository: Path, marker: str, what: str) -> None:
    check_place(repository)
    (repository / ".git" / marker).write_text("")
    with pytest.raises(BadInput, match=f"{what} is not finished in this checkout"):
        check_place(repository)


def test_a_sparse_checkout_is_refused(repository: Path) -> None:
    git(repository, "sparse-checkout", "set", "src")
    with pytest.raises(BadInput, match="this checkout is sparse"):
        check_place(repository)
    git(repository, "sparse-checkout", "disable")
    check_place(repository)


def test_a_locale_that_is_not_utf_8_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locale, "getpreferredencoding", lambda _: "ISO-8859-1")
    if not sys.flags.utf8_mode:
        with pytest.raises(BadInput, match="the locale's encoding is ISO-8859-1"):
            check_place(repository)


def scaffold(root: Path, *created: str) -> Scaffold:
    commit = git(root, "rev-parse", "HEAD").strip()
    return Scaffold("foo", {}, "v1", Manifest(commit, "add-foo", dict.fromkeys(created, ""), {}))


def test_files_that_are_elsewhere_are_refused_and_deleted_ones_are_not(repository: Path) -> None:
    record = scaffold(repository, "a.py", "b.py", ".scaffold/foo/parity.py")
    for name in ("a.py", "b.py"):
        (repository / name).write_text("")
    check_files(repository, Snapshot(repository), record)
    # On the branch of the scaffold a file that is missing was deleted, committed or not.
    (repository / "b.py").unlink()
    check_files(repository, Snapshot(repository), record)
    git(repository, "checkout", "-q", "--detach")
    with pytest.raises(BadInput, match=r"1 of the 2 files of foo are not in this tree, such as b\.py") as caught:
        check_files(repository, Snapshot(repository), record)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("the scaffold was made on add-foo, at commit ")
    # On another branch it was deleted when it was there once.
    (repository / "b.py").write_text("")
    git(repository, "add", "a.py", "b.py")
    git(repository, "commit", "-qm", "add")
    git(repository, "rm", "-q", "b.py")
    git(repository, "commit", "-qm", "remove")
    check_files(repository, Snapshot(repository), record)
    (repository / "a.py").unlink()
    with pytest.raises(BadInput, match="2 of the 2 files"):
        check_files(repository, Snapshot(repository), record)


def test_answers_that_git_tracks_or_that_name_another_template_are_refused(repository: Path) -> None:
    path = ".scaffold/foo/answers.yml"
    (repository / ".scaffold/foo").mkdir(parents=True)
    (repository / path).write_text("name: foo\n")
    git(repository, "add", path)
    with pytest.raises(BadInput, match=rf"git tracks {path}"):
        check_files(repository, Snapshot(repository), scaffold(repository))
    assert recorded_version({"_src_path": ADDRESS, "_commit": "v1"}, path) == "v1"
    for address in ("https://evil.example/x.git", "", None):
        with pytest.raises(BadInput, match="names another template"):
            recorded_version({"_src_path": address, "_commit": "v1"}, path)
    with pytest.raises(BadInput, match="records no version"):
        recorded_version({"_src_path": ADDRESS}, path)


@pytest.mark.checkout
def test_bad_requests_are_one_line_and_with_json_one_object(checkout: Path) -> None:
    for arguments, message in (
        (["update"], "give the NAME of a scaffold, or --all"),
        (["update", "foo", "--all"], "give the NAME of a scaffold, or --all"),
        (["update", "foo"], "there is no scaffold named foo here (no .scaffold/foo/answers.yml)"),
        (["remove", "foo"], "there is no model named foo here"),
        (["update", "--nope"], "No such option"),
    ):
        done = run_command(*arguments, "--json", cwd=checkout)
        assert done.returncode == 2
        refusal = json.loads(done.stdout)
        assert refusal["status"] == "refused"
        assert message in refusal["error"]["message"]
    assert git_status(checkout) == ""
    assert not Snapshot(checkout).exists(manifest_path("foo"))


def test_versions_are_compared_by_commit_and_by_tag() -> None:
    newest = Newest("a" * 40, ("v1.0", "v1.1"), dirty=False)
    assert [newest.is_recorded_as(version) for version in ("a" * 7, "v0.9-12-gaaaaaaa", "v1.0", "v1.1")] == [True] * 4
    assert [newest.is_recorded_as(version) for version in ("b" * 7, "v0.9-12-gbbbbbbb", "v1", "")] == [False] * 4
    assert newest.name == "v1.1"
    assert not Newest("a" * 40, ("v1.0",), dirty=True).is_recorded_as("v1.0")


def test_conflicts_are_in_the_style_that_git_is_set_to(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    git(repository, "config", "merge.conflictStyle", "diff3")
    text, conflict = merge_file(repository, folder, "a\nmine\n", "a\nold\n", "a\nnew\n", ("v1", "v2"))
    assert conflict
    assert text == "a\n<<<<<<< yours\nmine\n||||||| template v1\nold\n=======\nnew\n>>>>>>> template v2\n"
    assert merge_file(repository, folder, "a\nb\nmine\n", "a\nb\n", "new\nb\n", ("v1", "v2")) == (
        "new\nb\nmine\n",
        False,
    )
