"""Rendering: Copier turns the template and the answers into new files, in a temporary folder.

The version that is rendered is taken out of what is at hand, the bundle in the wheel or the clone that we run from, and
the answers record it under the address that everybody can resolve, as Copier itself would have done. Copier's own way
there, a mirror of the address and a clone of the mirror, takes longer than the render.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ScaffoldError

#: The address that answers files record; the repository of ``pyproject.toml``.
ADDRESS = "https://github.com/scaffold-model/scaffold-model.git"

#: The template with its history, in a wheel.
BUNDLE = Path(__file__).with_name("template.bundle")


class RenderError(ScaffoldError):
    """Copier could not render the template."""


@dataclass(frozen=True)
class TemplateSource:
    """Where the template is read from.

    Attributes:
        place: What git clones: the bundle, or the clone of this project that the package was imported from.
        dirty: The clone has uncommitted changes of the template; Copier then takes the files as they are.
    """

    place: Path
    dirty: bool


def template_source() -> TemplateSource:
    """The bundle of an installed wheel, else the clone of this project around the package.

    Raises:
        RenderError: The package is neither in a wheel with its bundle nor in a clone.
    """
    if BUNDLE.is_file():
        return TemplateSource(BUNDLE, dirty=False)
    clone = Path(__file__).resolve().parents[2]
    if (clone / "copier.yml").is_file() and (clone / ".git").exists():
        status = subprocess.run(
            ["git", "-C", str(clone), "status", "--porcelain", "--", "template", "includes", "copier.yml", "tasks"],
            capture_output=True,
            text=True,
            check=False,
        )
        return TemplateSource(clone, dirty=bool(status.stdout.strip()))
    raise RenderError(
        "the template is missing from this installation",
        hint="install scaffold-model from a wheel, or from a clone with its git history",
    )


#: What a version of the template consists of.
_PARTS = ("copier.yml", "template", "includes", "tasks")

#: Where Copier records what it rendered, which is a temporary folder here.
_SOURCE_LINE = re.compile(r"^_src_path: .*$", re.MULTILINE)


_OTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


def _extract(source: TemplateSource, vcs_ref: str, folder: Path) -> tuple[Path, str]:
    """The files of a version in a folder of their own, and the version as ``git describe`` calls it.

    Raises:
        RenderError: There is no such version.
    """
    repository = source.place
    if repository.is_file():
        repository = folder / "repository"
        _git("clone", "--quiet", "--bare", str(source.place), str(repository), version=vcs_ref)

    def run(*arguments: str) -> bytes:
        return _git("-C", str(repository), *arguments, version=vcs_ref)

    commit = run("rev-parse", "--verify", "--end-of-options", f"{vcs_ref}^{{commit}}").decode().strip()
    version = run("describe", "--tags", "--always", commit).decode().strip()
    present = run("ls-tree", "--name-only", commit).decode().split()
    archive = run("archive", "--format=zip", commit, *(part for part in _PARTS if part in present))
    files = folder / "template"
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        packed.extractall(files)
    return files, version


def _git(*arguments: str, version: str) -> bytes:
    # In a hook git names the repository that is being committed to; and no setting may turn the line ends round.
    environment = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    command = ["git", "-c", "core.autocrlf=false", "-c", "core.eol=lf", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    if done.returncode:
        raise RenderError(
            f"git could not read version {version} of the template",
            hint="give an existing --vcs-ref, or leave it out",
        )
    return done.stdout


def render(answers: Mapping[str, Any], vcs_ref: str | None = None) -> dict[str, str]:
    """The files that the template makes of ``answers``: ``{path: text}``, the answers file among them.

    Args:
        answers: One value for every question of ``copier.yml``.
        vcs_ref: The version of the template; by default its newest commit.

    Raises:
        RenderError: Copier refused the answers or the template.
    """
    source = template_source()
    with tempfile.TemporaryDirectory(prefix="scaffold-model.") as folder:
        if source.dirty and vcs_ref is None:
            # A clone with changes is what a developer of the template works with; Copier takes its files as they are.
            return _rendered(str(source.place), Path(folder), answers)
        files, version = _extract(source, vcs_ref or "HEAD", Path(folder))
        rendered = _rendered(str(files), Path(folder), answers)
    path = next(path for path in rendered if path.endswith("/answers.yml"))
    return {**rendered, path: _SOURCE_LINE.sub(lambda _: recorded(version), rendered[path], count=1)}


def recorded(version: str) -> str:
    """The lines of an answers file that say what was rendered; a hash of digits alone is quoted, or it would be a number."""
    import yaml

    return yaml.safe_dump({"_commit": version, "_src_path": ADDRESS}).rstrip("\n")


def _rendered(template: str, folder: Path, answers: Mapping[str, Any]) -> dict[str, str]:
    import warnings

    import copier
    import jinja2
    from copier.errors import CopierError

    # The folder is entered under a fixed name, since nothing in a render may depend on where it was made.
    target = folder / "render"
    target.mkdir()
    with warnings.catch_warnings():
        # That the clone has changes is a warning for others.
        warnings.simplefilter("ignore")
        try:
            copier.run_copy(
                template,
                target,
                data=dict(answers),
                defaults=True,
                overwrite=True,
                quiet=True,
                unsafe=True,
                skip_tasks=True,
                vcs_ref="HEAD",
            )
        except (CopierError, jinja2.TemplateError, ValueError, TypeError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise RenderError(f"the template could not be rendered: {first}", hint="check the answers") from error
    return {
        path.relative_to(target).as_posix(): path.read_bytes().decode("utf-8")
        for path in sorted(target.rglob("*"))
        if path.is_file()
    }
