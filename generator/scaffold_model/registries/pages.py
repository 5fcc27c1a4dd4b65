"""Docs pages of models, pipelines and schedulers that the table of contents must name, with title and section."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from ..code import toc
from ..code.ordering import common_prefix
from .base import ROOT, Page

if TYPE_CHECKING:
    from ..snapshot import Snapshot

DOCS = "docs/source/en"
TOCTREE = f"{DOCS}/_toctree.yml"
_NO_WORD = re.compile(r"\W")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"^# +(.+?)\s*$", re.MULTILINE)
_AUTODOC = re.compile(r"^\[\[autodoc\]\] ([\w.]+)", re.MULTILINE)
# Of a block of a modular pipeline.
_OUTPUT = r'\bOutputParam(?:\.template)?\(\s*(?:name=)?"{}"'
_MODALITIES = (
    ("video", re.compile(r"\bVideoProcessor\b|\bexport_to_video\b|\bframes=")),
    ("audio", re.compile(rf"\bAudioPipelineOutput\b|\baudios=|{_OUTPUT.format('audios?')}")),
    ("text", re.compile(r"\btexts=")),
)


def find_pages(snapshot: Snapshot, paths: Mapping[str, str], new: Collection[str] = ()) -> Iterator[Page]:
    """The pages that are not in the table of contents.

    Args:
        snapshot: The checkout.
        paths: The file of each class of the library.
        new: Names of what is not registered yet; guides that use it count as pages too.
    """
    source = snapshot.read(TOCTREE)
    if source is None:
        return
    items = toc.items(source)
    listed = {item.local for item in items}
    # Models, pipelines, loaders: each folder of the reference that has pages there has its place.
    known = {item.local.split("/")[1] for item in items if item.local.startswith("api/")}
    for area in (folder for folder in snapshot.folders(f"{DOCS}/api") if folder in known):
        for path in snapshot.walk(f"{DOCS}/api/{area}", ".md"):
            local = path.removeprefix(f"{DOCS}/").removesuffix(".md")
            if local not in listed:
                yield _page(snapshot, paths, items, area, local, snapshot.read(path) or "")
    guides = _beside_one_another(snapshot, items, listed)
    yield from guides
    if new:
        taken = listed.union(guide.local for guide in guides)
        yield from _guides(snapshot, items, taken, new)


def _beside_one_another(snapshot: Snapshot, items: tuple[toc.Item, ...], listed: set[str]) -> list[Page]:
    """Guides of the folders all of whose pages are in one section, such as those to quantization."""
    sections: dict[str, set[tuple[str, ...]]] = {}
    for item in items:
        if item.local.count("/") == 1:
            sections.setdefault(item.local.split("/")[0], set()).add(item.section)
    return [
        Page(local, heading(snapshot.read(f"{DOCS}/{local}.md") or "") or local, next(iter(places)))
        for folder, places in sections.items()
        if folder != "api" and len(places) == 1
        for file in snapshot.files(f"{DOCS}/{folder}")
        for local in [f"{folder}/{file.removesuffix('.md')}"]
        if file.endswith(".md") and local not in listed
    ]


def _guides(snapshot: Snapshot, items: tuple[toc.Item, ...], listed: set[str], new: Collection[str]) -> Iterator[Page]:
    """Guides to what is new, for the section that holds most guides which are called like a pipeline's page."""
    topics = {_stem(path.removesuffix(".md")) for path in snapshot.walk(f"{DOCS}/api/pipelines", ".md")}
    for folder in sorted({item.local.split("/")[0] for item in items if item.local.count("/") == 1} - {"api"}):
        for file in snapshot.files(f"{DOCS}/{folder}"):
            local = f"{folder}/{file.removesuffix('.md')}"
            if not file.endswith(".md") or local in listed or not _is_guide(local, topics):
                continue
            text = snapshot.read(f"{DOCS}/{folder}/{file}") or ""
            documents = tuple(name for name in new if re.search(rf"\b{name}\b", text))
            kin = Counter(i.section for i in items if i.local.startswith(f"{folder}/") and _is_guide(i.local, topics))
            if documents and kin:
                yield Page(local, heading(text) or local, kin.most_common(1)[0][0], documents)


def _is_guide(local: str, topics: Collection[str]) -> bool:
    """Whether a guide is called like a page, or like one and more words."""
    return any(name in topics for name in _without_last_words(_stem(local)))


def _stem(local: str) -> str:
    """The name of a page as a module's name would be."""
    return _NO_WORD.sub("_", local.rsplit("/", 1)[-1])


def _without_last_words(name: str) -> Iterator[str]:
    """The name, and what it is without its last word, without its last two, and so on."""
    words = name.split("_")
    return ("_".join(words[:count]) for count in range(len(words), 0, -1))


def _page(
    snapshot: Snapshot, paths: Mapping[str, str], items: tuple[toc.Item, ...], area: str, local: str, text: str
) -> Page:
    plain = _COMMENT.sub("", text)
    documents = tuple(name.rsplit(".", 1)[-1] for name in _AUTODOC.findall(plain))
    title = heading(text) or (documents[0] if documents else local.rsplit("/", 1)[-1])
    title = _own_name(title, local) or title
    if area in ("models", "schedulers") and title not in paths and documents:
        title = documents[0]
    section = _section(snapshot, paths, items, area, local, title, documents, plain)
    return Page(local, title, section, documents)


def _own_name(title: str, local: str) -> str:
    """The words of a heading that are the page's own name: ``Foo for Painting`` is Foo, ``Foo (a Painter)`` stays."""
    words = title.split()
    stem = re.sub(r"\W|_", "", local.rsplit("/", 1)[-1]).lower()
    spans = ((start, end) for start in range(len(words)) for end in range(start + 1, len(words) + 1))
    for start, end in spans:
        name = " ".join(words[start:end]).strip("(),.")
        rest = " ".join((*words[:start], *words[end:]))
        if re.sub(r"\W|_", "", name).lower() == stem and not re.fullmatch(r"\(.*\)", rest):
            return name
    return ""


def heading(text: str) -> str:
    """The first heading of a page without its tagline: ``Foo: Fast Painting`` is Foo.

    A pipeline's class name becomes words. A page without a heading has an empty one.
    """
    plain = _COMMENT.sub("", text)
    match = _HEADING.search(plain)
    title = match[1].split(": ", 1)[0] if match else ""
    title = _spelled(title, plain) or _shortened(title, plain) or title
    if re.fullmatch(r"\w+Pipeline", title):
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", title.removesuffix("Pipeline"))
    return title


def _spelled(title: str, text: str) -> str:
    """The title as a later heading spells it, where that differs in case alone."""
    later = re.findall(r"^##+ +(.+?)\s*$", text, re.MULTILINE)
    same = [name for name in later if name.lower() == title.lower()]
    return same[0] if same and title not in same else ""


def _shortened(title: str, text: str) -> str:
    """What the text calls the model at its beginning, where the heading is a class name and longer than that."""
    stems = [
        name.removesuffix("Pipeline") for name in re.findall(r"^\[\[autodoc\]\] (?:\w+\.)*(\w+Pipeline)\b", text, re.M)
    ]
    opening = re.match(r"(?:[!<].*\n|\s)*\[([^\]!`:]+)[^\]]*\]\(", text[_end_of_heading(text) :])
    if title not in stems or opening is None or len(opening[1]) >= len(title):
        return ""
    return opening[1] if 2 * common_prefix(opening[1], title) >= len(title) else ""


def _end_of_heading(text: str) -> int:
    match = _HEADING.search(text)
    return match.end() if match else 0


def _section(
    snapshot: Snapshot,
    paths: Mapping[str, str],
    items: tuple[toc.Item, ...],
    area: str,
    local: str,
    title: str,
    documents: tuple[str, ...],
    text: str,
) -> tuple[str, ...]:
    """The section that holds most pages of the same kind."""
    pages = [item for item in items if item.local.startswith(f"api/{area}/")]
    top = min((item.section for item in pages), key=len, default=())
    if area == "models":
        name = title if title in paths else documents[0] if documents else ""
        folder = paths.get(name, "").rsplit("/", 1)[0]
        kin = Counter(
            item.section for item in pages if paths.get(item.title, "").rsplit("/", 1)[0] == folder and folder
        )
        return kin.most_common(1)[0][0] if kin else top
    if area == "pipelines":
        return _pipelines_section(pages, top, local, modality(snapshot, paths, documents, text))
    return top


def _pipelines_section(pages: list[toc.Item], top: tuple[str, ...], local: str, wanted: str) -> tuple[str, ...]:
    """The section of the page whose name this one extends; else of what the pipelines make, and there of its folder."""
    extended = _extended(pages, local)
    if extended is not None:
        return extended.section
    sections = {item.section for item in pages}
    of_kind = [each for each in sections if len(each) == len(top) + 1 and each[-1].lower() == wanted]
    top = of_kind[0] if of_kind else top
    folder = local.rsplit("/", 1)[0]
    kin = Counter(item.section for item in pages if item.local.rsplit("/", 1)[0] == folder)
    nested = kin.most_common(1)[0][0] if kin and folder.count("/") > 1 else top
    return nested if nested[: len(top)] == top else top


def _extended(pages: list[toc.Item], local: str) -> toc.Item | None:
    """The page whose name and further words are the name of this one: ``sana`` for ``sana_video``. Families stay together."""
    by_name = {item.local: item for item in pages}
    return next((by_name[name] for name in _without_last_words(local) if name in by_name), None)


def modality(snapshot: Snapshot, paths: Mapping[str, str], documents: tuple[str, ...], text: str) -> str:
    """What the pipelines that a page documents give out: image, video, audio or text."""
    named = [name for name in documents if name in paths] or [
        name for name in re.findall(r"\w+Pipeline\b", text) if name in paths
    ]
    votes: Counter[str] = Counter()
    for path in dict.fromkeys(paths[name] for name in named):
        if not path.startswith((f"{ROOT}/pipelines/", f"{ROOT}/modular_pipelines/")):
            continue
        source = snapshot.read(path) or ""
        if path.startswith(f"{ROOT}/modular_pipelines/"):
            folder = path.rsplit("/", 1)[0]
            source = "".join(snapshot.read(f"{folder}/{name}") or "" for name in snapshot.files(folder))
        votes[next((name for name, pattern in _MODALITIES if pattern.search(source)), "image")] += 1
    return votes.most_common(1)[0][0] if votes else "image"
