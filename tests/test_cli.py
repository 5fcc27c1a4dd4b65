"""The command line itself: help, prompts on a terminal, answers files, exit codes."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import git_status, run_command

from scaffold_model import __version__
from scaffold_model.cli import cli


def test_help_and_version(tmp_path: Path) -> None:
    shown = run_command("--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert shown.stdout.startswith(
        "Usage: scaffold-model --name NAME [--modular | --standard | --both] [OPTIONS]\n"
        "       scaffold-model COMMAND [OPTIONS]\n"
    )
    assert run_command("--version", cwd=tmp_path).stdout == f"scaffold-model, version {__version__}\n"


@pytest.mark.parametrize("command", ["", *cli.commands])
def test_help_imports_nothing_heavy(command: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom scaffold_model.cli import run\nassert run([*sys.argv[1:], '--help']) == 0\n"
        "heavy = {'torch', 'copier', 'libcst', 'yaml', 'rich', 'jinja2'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    arguments = [command] if command else []
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)


def test_the_missing_name_is_named(tmp_path: Path) -> None:
    done = run_command("--modular", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "scaffold-model: the name of the model is missing; give --name NAME\n"


@pytest.mark.parametrize("command", ["tiny", "verify", "complete"])
@pytest.mark.checkout
def test_an_unknown_scaffold_is_named(command: str, checkout: Path) -> None:
    done = run_command(command, "nothing", cwd=checkout)
    assert done.returncode == 2
    assert "there is no scaffold named nothing here" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["verify", "nothing", "--json"]])
def test_output_that_can_not_be_written_is_said(arguments: list[str], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scaffold_model", *arguments], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == "scaffold-model: the output could not be written (No space left on device)\n"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scaffold_model", "--help"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 0)
    process.stderr.close()


def test_a_command_that_ends_by_itself_keeps_its_exit_code(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom scaffold_model import checkout, cli\n"
        "checkout.find_checkout = lambda start: sys.exit(1)\nsys.exit(cli.run(['register']))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 1


def test_an_internal_error_is_exit_code_3(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom scaffold_model import checkout, cli\n"
        "def broken(start):\n    raise RuntimeError('boom')\n"
        "checkout.find_checkout = broken\nsys.exit(cli.run(['register', '--json']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "InternalError"
    assert "boom" in error["message"]


@pytest.mark.checkout
def test_an_answers_file_gives_the_answers(checkout: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.yml"
    answers.write_text("name: foo\nformat: standard\nattention: cross\nlora: true\n")
    done = run_command("--answers", str(answers), "--title", "The Foo", "--json", cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert "src/diffusers/pipelines/foo/pipeline_foo.py" in json.loads(done.stdout)["created"]
    stored = (checkout / ".scaffold/foo/answers.yml").read_text()
    for line in ("attention: cross", "format: standard", "lora: 'yes'", "title: The Foo", "tests: mixins"):
        assert f"\n{line}\n" in stored


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "holds no answers"),
        ("name: [\n", "is not valid YAML (line "),
        ("name: foo\ncolour: red\n", "answer 'colour' is unknown"),
    ],
)
def test_a_bad_answers_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "answers.yml").write_text(text)
    done = run_command("--answers", "answers.yml", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def typed(arguments: list[str], cwd: Path, keys: list[str]) -> tuple[int, str]:
    """Run the command on a terminal of its own; type the next of ``keys`` at every prompt.

    Returns:
        The exit code, and everything that the terminal showed.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        # Test runners start their workers with SIGINT ignored, which a child would inherit.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.execv(sys.executable, [sys.executable, "-m", "scaffold_model", *arguments])
    shown = ""
    answered = 0
    while select.select([terminal], [], [], 60)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            # Linux reports the closed other end as an error.
            break
        if not data:
            break
        shown += data.decode(errors="replace")
        if shown[answered:].rstrip("\n").endswith(": ") and keys:
            answered = len(shown)
            # A person types after the prompt; a signal in the instant before the terminal is read would wait for a line.
            time.sleep(0.5)
            os.write(terminal, keys.pop(0).encode())
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown


@pytest.mark.checkout
def test_a_terminal_is_asked_with_the_recommended_answer_first(checkout: Path) -> None:
    # A wrong name first, then the defaults for all but the attention, which is cross.
    keys = ["Not A Name\n", "foo\n", "\n", "\n", "\n", "cross\n", "\n", "\n", "\n", "\n", "\n", "\n"]
    code, shown = typed(["--text-encoder", "clip"], checkout, keys)
    assert code == 0, shown
    assert "must be a snake_case identifier" in shown
    assert "Pipeline format (modular, standard, both) [modular]" in shown
    assert "Text encoder" not in shown
    stored = (checkout / ".scaffold/foo/answers.yml").read_text()
    assert "\nattention: cross\n" in stored
    assert "\ntext_encoder: clip\n" in stored
    assert "\nformat: modular\n" in stored


@pytest.mark.checkout
def test_yes_never_asks(checkout: Path) -> None:
    code, shown = typed(["--name", "foo", "-y", "--dry-run"], checkout, [])
    assert code == 0, shown
    assert "[modular]" not in shown


@pytest.mark.checkout
def test_interrupting_the_questions_writes_nothing(checkout: Path) -> None:
    code, shown = typed(["--name", "foo"], checkout, ["\x03"])
    assert code == 2, shown
    assert "nothing was written" in shown
    assert git_status(checkout) == ""
