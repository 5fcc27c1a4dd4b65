"""Which version of the template a scaffold has, and which one is the newest."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from .errors import BadInput
from .render import ADDRESS, RenderError, TemplateSource, template_source

_DESCRIBED = re.compile(r"(?:.*-g)?([0-9a-f]{7,40})")


@dataclass(frozen=True)
class Newest:
    """The newest version.

    Attributes:
        commit: Its full hash.
        tags: The tags on it.
        dirty: The template is a clone with changes that are not committed, which no version stands for.
    """

    commit: str
    tags: tuple[str, ...]
    dirty: bool

    @property
    def name(self) -> str:
        """How to call it: a tag, or the short hash."""
        return f"{self.tags[-1] if self.tags else self.commit[:7]}{' with uncommitted changes' if self.dirty else ''}"

    def is_recorded_as(self, version: str) -> bool:
        """Whether Copier's ``_commit``, as ``git describe --tags --always`` puts it, is this version."""
        if self.dirty:
            return False
        described = _DESCRIBED.fullmatch(version)
        return version in self.tags or bool(described and self.commit.startswith(described[1]))


def newest_version() -> Newest:
    """What a render would be made from."""
    return _newest(template_source())


@lru_cache(maxsize=2)
def _newest(source: TemplateSource) -> Newest:
    done = subprocess.run(["git", "ls-remote", str(source.place)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError("git could not read the template", hint="install scaffold-model again")
    refs = {name: commit for commit, name in (line.split("\t") for line in done.stdout.splitlines())}
    # An annotated tag is listed twice, the second time with what it stands on.
    tags = {
        name.removeprefix("refs/tags/").removesuffix("^{}"): commit
        for name, commit in refs.items()
        if "/tags/" in name
    }
    return Newest(refs["HEAD"], tuple(tag for tag, commit in tags.items() if commit == refs["HEAD"]), source.dirty)


def recorded_version(answers: dict[str, object], path: str) -> str:
    """The version in an answers file, which must be one of this template.

    The recorded address is compared and never used: nobody's answers file makes us run another template.

    Raises:
        BadInput: The answers are of another template, or record no version.
    """
    address = str(answers.get("_src_path", ""))
    if address not in (ADDRESS, str(template_source().place)):
        raise BadInput(
            f"{path} names another template, {address or 'none at all'}",
            hint="only scaffolds of scaffold-model can be updated; `copier update` serves others",
        )
    version = str(answers.get("_commit", ""))
    if not version:
        raise BadInput(
            f"{path} records no version of the template", hint="rebuild it with `scaffold-model adopt NAME`"
        )
    return version
