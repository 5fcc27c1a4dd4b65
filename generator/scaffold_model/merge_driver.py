"""The git merge driver: what git runs for a registry file, and how it is set up in a checkout.

Nothing tracked is changed: the files are named in ``info/attributes`` and the command in the repository's configuration.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .checkout import git
from .conventions import PYPROJECT
from .errors import BadInput
from .merge import DEFAULT_WIDTH, merge
from .merging.result import Merged

DRIVER = "scaffold-model"
SECTION = f"merge.{DRIVER}"
TITLE = "registrations of diffusers, merged by structure"
PATTERNS = (
    "/src/diffusers/**/__init__.py",
    "/src/diffusers/utils/dummy_*_objects.py",
    "/src/diffusers/modular_pipelines/modular_pipeline.py",
    "/src/diffusers/pipelines/auto_pipeline.py",
    "/src/diffusers/hooks/_helpers.py",
    "/src/diffusers/loaders/lora_pipeline.py",
    "/src/diffusers/loaders/peft.py",
    "/src/diffusers/loaders/single_file_model.py",
    "/docs/source/en/_toctree.yml",
    "/docs/source/en/api/loaders/lora.md",
    "/docs/source/en/api/pipelines/overview.md",
)
_BEGIN = "# >>> scaffold-model merge-driver >>>"
_END = "# <<< scaffold-model merge-driver <<<"
# What has to be taken back besides the block itself is noted on its first line.
_UNENDED = " (the line before had no end)"
_EMPTY = " (the file was empty)"
_BLOCK = re.compile(
    rf"(?P<gap>\n?)^{re.escape(_BEGIN)}(?P<note>[^\n]*)\n.*?^{re.escape(_END)}\n", re.DOTALL | re.MULTILINE
)


# ---------------------------------------------------------------------------------------------------- the driver itself


@dataclass(frozen=True)
class Labels:
    """What stands on the conflict markers, and how long they are."""

    ours: str = "ours"
    base: str = "base"
    theirs: str = "theirs"
    size: int = 7

    def text_merge(self, base: str, ours: str, theirs: str) -> Merged:
        """Git's own text merge, in the conflict style that is configured."""
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, name) for name in ("ours", "base", "theirs")]
            for file, text in zip(files, (ours, base, theirs), strict=True):
                file.write_bytes(text.encode("utf-8"))
            names = [argument for label in (self.ours, self.base, self.theirs) for argument in ("-L", label)]
            done = subprocess.run(
                ["git", "merge-file", "-p", f"--marker-size={self.size}", *names, *map(str, files)],
                capture_output=True,
                check=False,
            )
        if not 0 <= done.returncode < 128:
            raise BadInput(f"git merge-file failed: {done.stderr.decode(errors='replace').strip()}")
        return Merged(done.stdout.decode("utf-8"), done.returncode > 0)


def drive(arguments: Sequence[str]) -> bool:
    """Merge as git asks for it: ``%O %A %B %P``, and optionally ``%L %X %Y``. The result goes to ``%A``.

    Returns:
        Whether there are conflicts.
    """
    if not 4 <= len(arguments) <= 7:
        raise BadInput("a merge driver takes the files %O %A %B and the path %P", hint="use --install to set it up")
    base, ours, theirs = (Path(name) for name in arguments[:3])
    labels = _labels(arguments[4:])
    try:
        texts = [file.read_bytes().decode("utf-8") for file in (base, ours, theirs)]
    except OSError as error:
        raise BadInput(f"{error.filename} can not be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput("is no text in UTF-8", path=arguments[3]) from None
    merged = merge(texts[0], texts[1], texts[2], arguments[3], labels.text_merge, _width())
    ours.write_bytes(merged.text.encode("utf-8"))
    return merged.conflicts


def _labels(arguments: Sequence[str]) -> Labels:
    """Placeholders that an older git does not know arrive as they are."""
    size, ours, theirs = [*arguments, "", "", ""][:3]
    return Labels(
        ours if ours and not ours.startswith("%") else "ours",
        "base",
        theirs if theirs and not theirs.startswith("%") else "theirs",
        int(size) if size.isdigit() and int(size) else 7,
    )


def _width() -> int:
    """The line length of the checkout; git runs a driver in its top folder."""
    try:
        found = re.search(r"^line-length\s*=\s*(\d+)", Path(PYPROJECT).read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return DEFAULT_WIDTH
    return int(found[1]) if found else DEFAULT_WIDTH


# -------------------------------------------------------------------------------------------------------------- set-up


def command() -> str:
    """The command line for git: this very program, and git's own text merge should it be gone or fail."""
    program = Path(sys.argv[0]).absolute()
    if program.name == "scaffold-model" and program.is_file():
        start = shlex.quote(str(program))
    else:
        start = f"{shlex.quote(sys.executable)} -m scaffold_model"
    fallback = "case $? in 1) exit 1 ;; *) git merge-file --marker-size=%L %A %O %B ;; esac"
    return f"{start} merge-driver %O %A %B %P %L %X %Y || {fallback}"


def with_block(attributes: str | None) -> str:
    """The attributes file (None where there is none) with our block at its end, where it outranks what was before."""
    before = without_block(attributes) if attributes is not None else None
    note = "" if before is None or before.endswith("\n") else _UNENDED if before else _EMPTY
    rows = "".join(f"{pattern} merge={DRIVER}\n" for pattern in PATTERNS)
    return f"{before or ''}{chr(10) if note == _UNENDED else ''}{_BEGIN}{note}\n{rows}{_END}\n"


def without_block(attributes: str | None) -> str | None:
    """The attributes file as it was before our block; None where there was none."""
    match = _BLOCK.search(attributes or "")
    if attributes is None or match is None:
        return attributes
    gap = "" if match["note"] == _UNENDED else match["gap"]
    rest = attributes[: match.start()] + gap + attributes[match.end() :]
    return None if not rest and match["note"] != _EMPTY else rest


def install(checkout: Path, *, dry_run: bool = False) -> list[str]:
    """Set the driver up; returns what was changed, which is nothing the second time."""
    changes = _write_attributes(checkout, with_block, dry_run)
    for key, value in ((f"{SECTION}.name", TITLE), (f"{SECTION}.driver", command())):
        if _configured(checkout, key) != value:
            if not dry_run:
                git(checkout, "config", "--local", "--replace-all", key, value)
            changes.append(f"git config {key}")
    return changes


def uninstall(checkout: Path, *, dry_run: bool = False) -> list[str]:
    """Take the driver out again; returns what was changed."""
    changes = _write_attributes(checkout, without_block, dry_run)
    if any(_configured(checkout, f"{SECTION}.{key}") is not None for key in ("name", "driver")):
        if not dry_run:
            git(checkout, "config", "--local", "--remove-section", SECTION)
        changes.append(f"git config {SECTION}")
    return changes


def _write_attributes(checkout: Path, change: Callable[[str | None], str | None], dry_run: bool) -> list[str]:
    path = checkout / git(checkout, "rev-parse", "--git-path", "info/attributes")
    before = path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else None
    after = change(before)
    if after == before:
        return []
    if not dry_run:
        path.parent.mkdir(parents=True, exist_ok=True)
        if after is None:
            path.unlink()
        else:
            path.write_bytes(after.encode("utf-8", "surrogateescape"))
    return ["info/attributes"]


def _configured(checkout: Path, key: str) -> str | None:
    done = subprocess.run(
        ["git", "-C", str(checkout), "config", "--local", "--get", key], capture_output=True, text=True, check=False
    )
    return done.stdout.removesuffix("\n") if done.returncode == 0 else None
