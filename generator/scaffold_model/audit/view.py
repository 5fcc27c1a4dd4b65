"""What the audit looks at: a snapshot with its discovery, and every list of the registries read once."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from ..code.text import lines_with
from ..conventions import Conventions, detect
from ..discovery import Discovery, discover
from ..plan import Export
from ..registries import REGISTRIES, Registry, init_reading
from ..registries.base import ROOT
from ..scanning import Scanner
from ..snapshot import Snapshot

AREAS = ("models", "schedulers", "pipelines", "modular_pipelines", "loaders")
_PREFIX = {
    f"{ROOT}/__init__.py": "root",
    f"{ROOT}/models/__init__.py": "models",
    f"{ROOT}/schedulers/__init__.py": "schedulers",
    f"{ROOT}/pipelines/__init__.py": "pipelines",
    f"{ROOT}/modular_pipelines/__init__.py": "modular",
    f"{ROOT}/loaders/__init__.py": "loaders",
}
ROOT_INIT = f"{ROOT}/__init__.py"
HALVES = ("structure", "types")
DUMMIES = f"{ROOT}/utils"
DOCS = "docs/source/en"
_AUTODOC = re.compile(r"\[\[autodoc\]\] ([\w.]+)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_DEPRECATE = re.compile(r"deprecate\(\s*[\"'](?:[\w.]+\.)?([A-Z]\w+)[\"']")
_WORD = re.compile(r"\w+")
_BINDINGS = (("class ", "("), ("class ", ":"), ("def ", "("), ("", " = "), ("", ": "))


@dataclass(frozen=True)
class Spot:
    """One name in one half of an init module."""

    name: str
    module: str
    line: int
    backends: tuple[str, ...]
    suite: int
    statement: int
    place: int


@dataclass(frozen=True)
class Init:
    """A lazy init module: the spots of both halves, in source order.

    Attributes:
        path: The file.
        spots: Half -> its spots.
        eager: Names that the module imports at once, which no half needs to list.
    """

    path: str
    spots: dict[str, tuple[Spot, ...]]
    eager: frozenset[str]

    def names(self, half: str) -> dict[str, Spot]:
        """The first spot of each name."""
        found: dict[str, Spot] = {}
        for spot in self.spots[half]:
            found.setdefault(spot.name, spot)
        return found

    @cached_property
    def by_name(self) -> dict[str, list[Spot]]:
        """The spots of each name, in both halves."""
        found: dict[str, list[Spot]] = defaultdict(list)
        for half in HALVES:
            for spot in self.spots[half]:
                found[spot.name].append(spot)
        return found

    @cached_property
    def half_of(self) -> dict[str, frozenset[Spot]]:
        """The spots of each half, to ask for one."""
        return {half: frozenset(self.spots[half]) for half in HALVES}

    @property
    def folder(self) -> str:
        """The folder that the module stands for."""
        return self.path.rsplit("/", 1)[0]

    def registry(self, half: str) -> str:
        """The name of the registry that this half is."""
        return f"{_PREFIX.get(self.path, 'package')}_{half}"


REGISTRY_BY_NAME: dict[str, Registry] = {registry.NAME: registry for registry in REGISTRIES}


class View:
    """A snapshot, and what can be said of it.

    Args:
        snapshot: The checkout.
        package: Look only into the packages of this name; without it into all of them.

    Attributes:
        focus: The names that matter, where one model is asked for: what else is wrong need not be found.
    """

    def __init__(self, snapshot: Snapshot, *, package: str | None = None) -> None:
        self.snapshot = snapshot
        self.package = package
        self.focus: frozenset[str] | None = None
        self.conventions: Conventions = detect(snapshot)
        self.scanner = Scanner(snapshot)
        self.found: Discovery = discover(snapshot, self.scanner)
        self.broken: dict[str, SyntaxError] = {}
        self.stale: list[tuple[Init, str, Spot]] | None = None
        self.resolved: dict[tuple[str, str, str], bool | None] = {}
        self.tested: dict[str, dict[str, str]] = {}
        self._deprecated: dict[str, bool] = {}
        self._texts: dict[str, str] = {}

    def text(self, path: str) -> str:
        """The text of a file with plain line feeds, empty where there is none."""
        if path not in self._texts:
            text = self.snapshot.read(path) or ""
            self._texts[path] = text.replace("\r\n", "\n") if "\r" in text else text
        return self._texts[path]

    @cached_property
    def inits(self) -> dict[str, Init]:
        """The lazy init modules, by path."""
        found: dict[str, Init] = {}
        for path in self._init_paths():
            source = self.text(path)
            if init_reading.STRUCTURE in source:
                try:
                    found[path] = read_init(path, source)
                except SyntaxError as error:
                    self.broken[path] = error
        return found

    def _init_paths(self) -> list[str]:
        paths = [f"{ROOT}/__init__.py", f"{ROOT}/loaders/__init__.py", f"{ROOT}/models/__init__.py"]
        for area in ("schedulers", "pipelines", "modular_pipelines"):
            paths.extend(path for path in self.snapshot.walk(f"{ROOT}/{area}") if path.endswith("/__init__.py"))
        if self.package is not None:
            paths = [path for path in paths if path.count("/") < 4 or path.split("/")[3] == self.package]
        return [path for path in paths if self.snapshot.exists(path)]

    @cached_property
    def exports(self) -> dict[str, Export]:
        """What discovery says must be registered, by name."""
        return {export.name: export for export in self.found.exports}

    @cached_property
    def in_root(self) -> frozenset[str]:
        """What either half of the root lists."""
        root = self.inits.get(f"{ROOT}/__init__.py")
        return frozenset(spot.name for half in HALVES for spot in root.spots[half]) if root else frozenset()

    def is_deprecated(self, name: str) -> bool:
        """Whether a class is on its way out: nobody writes tests or docs for it any more."""
        if name not in self._deprecated:
            paths = [site.path for site in self.scanner.sites.get(name, ())]
            self._deprecated[name] = (
                any("/deprecated/" in path for path in paths)
                or "DeprecatedPipelineMixin" in self.scanner.ancestors(name)
                or any(name in self._warned_of(path) for path in paths)
            )
        return self._deprecated[name]

    def _warned_of(self, path: str) -> list[str]:
        """The classes of a module that warn whoever makes an object of them, as aliases under an old name do."""
        text = self.text(path)
        return _DEPRECATE.findall(text) if "deprecate(" in text else []

    @cached_property
    def documented(self) -> dict[str, str]:
        """What the docs of the API document by ``[[autodoc]]``: the class -> the page."""
        found: dict[str, str] = {}
        for path in self.snapshot.walk(f"{DOCS}/api", ".md"):
            text = self.text(path)
            for name in _AUTODOC.findall(_COMMENT.sub("", text) if "<!--" in text else text):
                found.setdefault(name.rsplit(".", 1)[-1], path)
        return found

    def path_of(self, name: str) -> str | None:
        """The file of a class, when there is exactly one."""
        if name in self.exports:
            return self.exports[name].path
        sites = self.scanner.sites.get(name, ())
        return sites[0].path if len(sites) == 1 else None

    def line_of(self, name: str, path: str) -> int | None:
        """The line of the ``class`` statement."""
        text = f"\n{self.text(path)}"
        places = [place for end in "(:" if (place := text.find(f"\nclass {name}{end}")) >= 0]
        return text.count("\n", 0, places[0] + 1) if places else None

    def concerns(self, name: str) -> bool:
        """Whether a name is looked at: all are, unless there is a focus."""
        return self.focus is None or name in self.focus

    def defines(self, path: str, name: str) -> bool:
        """Whether a module binds a name at its top level, as a scan for lines sees it."""
        text = self.text(path)
        if name not in text:
            return False
        if any(f"\n{start}{name}{end}" in text or text.startswith(f"{start}{name}{end}") for start, end in _BINDINGS):
            return True
        # Not by a definition: by an import, or under a condition. No expression is compiled for each of 1000 names.
        return any(_binds(line, name) for line in lines_with(text, name))


def _binds(line: str, name: str) -> bool:
    """Whether a line imports the name, or is an indented line of an import or an assignment that begins with it."""
    if line.startswith(("from ", "import ")):
        return name in _WORD.findall(line.split(" ", 1)[1])
    rest = line.lstrip(" ")
    if len(rest) == len(line) or not rest.startswith(name):
        return False
    return rest[len(name) :] == "" or rest[len(name) :].startswith((",", " ="))


def read_init(path: str, source: str) -> Init:
    """Both halves of an init module."""
    spots: dict[str, list[Spot]] = defaultdict(list)
    for half in HALVES:
        for key in init_reading.keys(source, half):
            suite = key.suite
            for name, line in key.objects:
                spot = Spot(name, key.module, line, suite.backends, suite.index, key.first, key.place)
                spots[half].append(spot)
    return Init(path, {half: tuple(spots[half]) for half in HALVES}, _eager(source))


def _eager(source: str) -> frozenset[str]:
    head = source.split("if TYPE_CHECKING", 1)[0]
    names: set[str] = set()
    for match in re.finditer(r"^from [\w.]+ import (?:\(([^)]*)\)|([^\n(]*))", head, re.MULTILINE):
        names.update(re.findall(r"\w+", match[1] or match[2] or ""))
    return frozenset(names)
