"""The AUTO_* mappings of ``pipelines/auto_pipeline.py``: which class does which task for which model.

Before:
    from .bar import BarPipeline

    AUTO_TEXT2IMAGE_PIPELINES_MAPPING = OrderedDict(
        [
            ("bar", BarPipeline),
        ]
    )

Entry: Entry("auto_pipeline", "", "FooPipeline", "AUTO_TEXT2IMAGE_PIPELINES_MAPPING", "foo", order=("foo",))

After:
    from .bar import BarPipeline
    from .foo import FooPipeline

    AUTO_TEXT2IMAGE_PIPELINES_MAPPING = OrderedDict(
        [
            ("bar", BarPipeline),
            ("foo", FooPipeline),
        ]
    )
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..code import pairs
from ..code.syntax import parse
from ..code.text import insert_before, remove_lines
from ..errors import AnchorNotFound
from ..plan import Export
from . import lazy_init, pages, paths, positions
from .base import ROOT, Entry, Listed, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "auto_pipeline"
PATH = f"{ROOT}/pipelines/auto_pipeline.py"
_MAPPING = re.compile(r"^(AUTO_\w+_PIPELINES_MAPPING)\b", re.MULTILINE)
_SUITE = re.compile(r"^if is_(\w+)_available\(\):\n((?:    .*\n|\n(?=    ))+)", re.MULTILINE)
_ASSIGNED = re.compile(r'^    (AUTO_\w+_PIPELINES_MAPPING)\["([^"]+)"\] = (\w+)$', re.MULTILINE)
# What a class name says of its task, by the mapping's name; a name that says nothing makes something from text.
_TASKS = (
    ("IMAGE2IMAGE", re.compile(r"Img2Img|ImageToImage")),
    ("INPAINT", re.compile(r"Inpaint(?:ing)?")),
    ("IMAGE2VIDEO", re.compile(r"ImageToVideo|Image2Video|I2V")),
    ("VIDEO2VIDEO", re.compile(r"VideoToVideo|Video2Video|V2V")),
)
#: The mapping of each task of a scaffold: ``AUTO_TEXT2IMAGE_PIPELINES_MAPPING``.
MAPPINGS = {
    task: f"AUTO_{name}_PIPELINES_MAPPING"
    for task, name in (
        ("t2i", "TEXT2IMAGE"),
        ("i2i", "IMAGE2IMAGE"),
        ("inpaint", "INPAINT"),
        ("t2v", "TEXT2VIDEO"),
        ("i2v", "IMAGE2VIDEO"),
        ("v2v", "VIDEO2VIDEO"),
        ("t2a", "TEXT2AUDIO"),
    )
}


def unmapped(source: str, tasks: Iterable[str]) -> list[str]:
    """The tasks that this checkout has no mapping for: those of video and audio came later than those of images."""
    present = set(_MAPPING.findall(source))
    return [task for task in tasks if MAPPINGS[task] not in present]


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    source = snapshot.read(PATH)
    if source is None or not isinstance(subject, Export) or not _is_pipeline(subject):
        return
    folder = subject.path.rsplit("/", 1)[0]
    if folder.count("/") < 3:
        return
    stem, tasks = _tasks(subject, snapshot)
    package = paths.module_of(subject)[0]
    present = set(_MAPPING.findall(source))
    more = tuple(backend for backend in subject.backends if backend not in ("torch", "transformers"))
    if more and not any(match[1] in more for match in _SUITE.finditer(source)):
        # Imported unguarded, it would be asked of everybody.
        return
    for mapping in (f"AUTO_{task}_PIPELINES_MAPPING" for task in tasks):
        if mapping in present:
            key = _kin_key(source, stem) or _key(package, stem, folder, snapshot)
            width = conventions.line_length
            yield Entry(NAME, PATH, subject.name, mapping, key, more, (package,), width, several=True)


def _is_pipeline(export: Export) -> bool:
    return export.kind == "pipeline" and "Pipeline" in export.name and not export.name.endswith("Output")


def _tasks(export: Export, snapshot: Snapshot) -> tuple[str, list[str]]:
    """The class name without its task, and the tasks: the named one, else those that a call or its docs tell of."""
    stem = export.name.removesuffix("Pipeline")
    for name, pattern in _TASKS:
        if pattern.search(stem):
            return pattern.sub("", stem), [name]
    kind = pages.modality(snapshot, {export.name: export.path}, (export.name,), "").upper()
    text = (snapshot.read(export.path) or "").split(f"\nclass {export.name}(", 1)[-1]
    given = dict(
        re.findall(r"^        (image|video): ?(.*),$", text.split("def __call__(", 1)[-1].split("):", 1)[0], re.M)
    )
    tasks = [f"{source.upper()}2{kind}" for source in given if (source.upper(), kind) != ("VIDEO", "IMAGE")]
    tasks += [f"IMAGE2{kind}" for _ in re.findall(rf"\bimage-to-{kind.lower()}\b", text, re.I)[:1]]
    if all("None" in declared for declared in given.values()):
        tasks.append(f"TEXT2{kind}")
    return stem, sorted(set(tasks))


def listed(source: str) -> list[Listed]:
    found: list[Listed] = []
    for name in dict.fromkeys(_MAPPING.findall(source)):
        mapping = pairs.find(source, name)
        for pair in mapping.pairs if mapping else ():
            found.append(Listed(ast.unparse(pair.value), name, pair.first, pair.key))
    return sorted([*found, *_guarded(source)], key=lambda item: item.line)


def _guarded(source: str) -> Iterator[Listed]:
    """What is assigned to the mappings below them, where the further backend of a class is there.

    ``if is_sentencepiece_available():`` guards ``AUTO_TEXT2IMAGE_PIPELINES_MAPPING["kolors"] = KolorsPipeline``.
    """
    for suite in _SUITE.finditer(source):
        for match in _ASSIGNED.finditer(suite[2]):
            line = source.count("\n", 0, suite.start(2) + match.start()) + 1
            yield Listed(match[3], match[1], line, match[2], (suite[1],))


def insert(source: str, entry: Entry) -> str:
    if any((item.object, item.key) == (entry.object, entry.key) for item in listed(source)):
        return source
    if entry.backends:
        edited = _assign(source, entry)
    else:
        edited = pairs.insert(
            source,
            entry.text_key,
            entry.value,
            entry.object,
            lambda keys: positions.after_kin(keys, entry.value, replace(entry, order=())),
        )
    if edited is None:
        raise AnchorNotFound(entry.path or PATH, entry.text_key)
    return lazy_init.insert(
        edited,
        _import(entry),
        "types",
        name_position=positions.by_import_order,
        key_position=positions.by_module_order,
        guarded=bool(entry.backends),
    )


def _assign(source: str, entry: Entry) -> str | None:
    """The source with the statement below the last one for the same mapping, else below all; None without such a suite."""
    rows = [item for item in _guarded(source) if item.backends == entry.backends]
    below = [item for item in rows if item.key == entry.key] or rows
    if not below:
        return None
    return insert_before(source, below[-1].line + 1, f'    {entry.text_key}["{entry.value}"] = {entry.object}')


def remove(source: str, entry: Entry) -> str:
    for item in _guarded(source):
        if entry.is_listed_as(item) and item.value == entry.value:
            source = remove_lines(source, item.line, item.line)
            break
    else:
        source = pairs.remove(source, entry.text_key, entry.value, entry.object)
    used = [node for node in ast.walk(parse(source)) if isinstance(node, ast.Name) and node.id == entry.object]
    return source if used else lazy_init.remove(source, _import(entry), "types")


def _import(entry: Entry) -> Entry:
    return replace(entry, key=entry.order[0], order=())


def _kin_key(source: str, stem: str) -> str:
    """The key that another task of the same model has, or that of its family with the rest of the name."""
    kin: dict[str, str] = {}
    for item in listed(source):
        other = item.object.removesuffix("Pipeline")
        for _, pattern in _TASKS:
            other = pattern.sub("", other)
        kin.setdefault(other, item.value)
    nearest = max((other for other in kin if stem.startswith(other)), key=len, default="")
    rest = stem.removeprefix(nearest)
    if not nearest or not (rest == "" or rest[0].isupper()):
        return ""
    return f"{kin[nearest]}-{rest.lower()}" if rest else kin[nearest]


def _key(package: str, stem: str, folder: str, snapshot: Snapshot) -> str:
    """The package's name, and what the class name says beyond the plainest pipeline of the package."""
    names = re.findall(
        r"^class (\w+)Pipeline\(",
        "\n".join(snapshot.read(f"{folder}/{name}") or "" for name in snapshot.files(folder) if name.endswith(".py")),
        re.MULTILINE,
    )
    plainest = min(names, key=len, default=stem)
    model = package.replace("_", "-")
    rest = stem.removeprefix(plainest) if stem.startswith(plainest) else ""
    return f"{model}-{rest.lower()}" if rest else model
