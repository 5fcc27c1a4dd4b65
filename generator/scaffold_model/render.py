"""Rendering: Copier turns the template and the answers into new files, in a temporary folder.

Copier is always given the recorded address of the template, so that ``_src_path`` is one that everybody can resolve;
git's ``insteadOf`` sends that address to what is at hand: the bundle in the wheel, or the clone that we run from.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def _resolved(source: TemplateSource, cache: str) -> Iterator[None]:
    """Make git resolve ADDRESS to the source, for this process and its children.

    Copier keeps a mirror of every address in a cache of the user's. Ours must not go there: the next `copier update`
    would take it for what is at the address, and a mirror of another installation would serve us another template.
    """
    count = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    added = {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": f"url.{source.place}.insteadOf",
        f"GIT_CONFIG_VALUE_{count}": ADDRESS,
        "COPIER_CACHE_DIR": cache,
    }
    before = {key: os.environ.get(key) for key in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def render(answers: Mapping[str, Any], vcs_ref: str | None = None) -> dict[str, str]:
    """The files that the template makes of ``answers``: ``{path: text}``, the answers file among them.

    Args:
        answers: One value for every question of ``copier.yml``.
        vcs_ref: The version of the template; by default its newest commit.

    Raises:
        RenderError: Copier refused the answers or the template.
    """
    source = template_source()
    with tempfile.TemporaryDirectory(prefix="scaffold-model.") as folder, _resolved(source, f"{folder}/cache"):
        import warnings

        import copier
        import jinja2
        from copier.errors import CopierError
        from plumbum import local

        # The folder is entered under a fixed name, since nothing in a render may depend on where it was made.
        target = Path(folder) / "render"
        target.mkdir()
        # Copier's git runs in an environment that was read when plumbum was first imported, by whomever.
        with (
            warnings.catch_warnings(),
            local.env(**{key: os.environ[key] for key in os.environ if key.startswith("GIT_CONFIG_")}),
        ):
            # A dirty clone is what a developer of the template works with; Copier's warning is for others.
            warnings.simplefilter("ignore")
            try:
                copier.run_copy(
                    str(source.place) if source.dirty and vcs_ref is None else ADDRESS,
                    target,
                    data=dict(answers),
                    defaults=True,
                    overwrite=True,
                    quiet=True,
                    unsafe=True,
                    skip_tasks=True,
                    vcs_ref=vcs_ref or "HEAD",
                )
            except (CopierError, jinja2.TemplateError, ValueError, TypeError) as error:
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise RenderError(f"the template could not be rendered: {first}", hint="check the answers") from error
            except Exception as error:  # plumbum raises its own errors when git fails
                if type(error).__name__ != "ProcessExecutionError":
                    raise
                raise RenderError(
                    f"git could not read version {vcs_ref or 'HEAD'} of the template",
                    hint="give an existing --vcs-ref, or leave it out",
                ) from error
        return {
            path.relative_to(target).as_posix(): path.read_bytes().decode("utf-8")
            for path in sorted(target.rglob("*"))
            if path.is_file()
        }
