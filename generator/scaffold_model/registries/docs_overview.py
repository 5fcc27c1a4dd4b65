"""The table of pipelines in ``api/pipelines/overview.md``, in checkouts that keep one; rows are ordered by title.

Before:
    | Pipeline | Tasks |
    |---|---|
    | [Bar](bar) | text2image |
    | [Qux](qux) | text2video |

Entry: Entry("docs_overview", "", "foo", "Foo", "text2image, inpainting")

After:
    | Pipeline | Tasks |
    |---|---|
    | [Bar](bar) | text2image |
    | [Foo](foo) | text2image, inpainting |
    | [Qux](qux) | text2video |
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..code.ordering import sorted_position
from ..code.text import insert_before
from ..errors import AnchorNotFound
from . import pages
from .base import Entry, Listed, Page, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "docs_overview"
AREA = "api/pipelines/"
PATH = f"{pages.DOCS}/{AREA}overview.md"
_ROW = re.compile(r"^\| \[([^\]]+)\]\(([\w/.-]+)\) \|.*$", re.MULTILINE)
# What a class name says of its task; a name that says nothing makes something from text.
_TASKS = (
    ("image2image", re.compile(r"Img2Img|ImageToImage")),
    ("inpainting", re.compile(r"Inpaint")),
    ("image2video", re.compile(r"ImageToVideo|Image2Video|I2V")),
    ("video2video", re.compile(r"VideoToVideo|Video2Video|V2V")),
)


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if isinstance(subject, Page) and subject.local.startswith(AREA) and _ROW.search(snapshot.read(PATH) or ""):
        pipelines = [name for name in subject.documents if name.endswith("Pipeline")]
        kind = subject.section[-1].lower() if subject.section[-1].lower() in ("video", "audio", "text") else "image"
        tasks = dict.fromkeys(_task(name, kind) for name in pipelines) or {f"text2{kind}": None}
        yield Entry(NAME, PATH, subject.local.removeprefix(AREA), subject.title, ", ".join(tasks))


def listed(source: str) -> list[Listed]:
    return [Listed(match[2], match[1], source.count("\n", 0, match.start()) + 1) for match in _ROW.finditer(source)]


def insert(source: str, entry: Entry) -> str:
    present = listed(source)
    if any(item.object == entry.object for item in present):
        return source
    if not present:
        raise AnchorNotFound(entry.path or PATH, "the table of pipelines")
    titles = [(str(item.key).lower(),) for item in present]
    index = sorted_position(titles, (entry.text_key.lower(),))
    line = present[index - 1].line + 1 if index else present[0].line
    return insert_before(source, line, f"| [{entry.key}]({entry.object}) | {entry.value} |")


def remove(source: str, entry: Entry) -> str:
    return re.sub(rf"^\| \[[^\]]+\]\({re.escape(entry.object)}\) \|[^\n]*(?:\n|\Z)", "", source, flags=re.MULTILINE)


def _task(name: str, kind: str) -> str:
    return next((task for task, pattern in _TASKS if pattern.search(name)), f"text2{kind}")
