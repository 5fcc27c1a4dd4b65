"""The plan that registers what is on disk: a snapshot in, a plan out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby

from . import guard
from .conventions import Conventions, detect
from .discovery import Discovery, discover
from .errors import AnchorNotFound, BadInput, BrokenFile, NotACheckout
from .plan import NewFile, Plan, PlanBuilder, Registered
from .registries import OPTIONAL, REGISTRIES, Entry, Registry, Subject, dummy_objects, modular_mapping, toctree
from .registries.base import ROOT, Page, of_name
from .scanning import Scanner
from .snapshot import Snapshot
from .sound import check_markers, check_text, read_python
from .stale import find_stale, moved
from .stale import notices as stale_notices

# Of the titles in the table of contents, nearly all have no more words.
LONG_TITLE = 4
PACKAGE_REGISTRIES = ("package_structure", "package_types")
# Read by every run, so that a broken one is refused even where nothing has to be added to it.
CORE = (
    f"{ROOT}/__init__.py",
    f"{ROOT}/models/__init__.py",
    f"{ROOT}/models/transformers/__init__.py",
    f"{ROOT}/schedulers/__init__.py",
    f"{ROOT}/pipelines/__init__.py",
    f"{ROOT}/modular_pipelines/__init__.py",
    f"{ROOT}/modular_pipelines/modular_pipeline.py",
    f"{ROOT}/loaders/__init__.py",
    *dummy_objects.COMMON,
    toctree.PATH,
)
# What says which names are registered: texts of an earlier revision tell what is new since then.
BASELINE = (
    f"{ROOT}/__init__.py",
    f"{ROOT}/models/__init__.py",
    f"{ROOT}/schedulers/__init__.py",
    f"{ROOT}/loaders/__init__.py",
    toctree.PATH,
)


def register(
    snapshot: Snapshot,
    *,
    also: Sequence[str] = (),
    only: Collection[str] | None = None,
    base: Mapping[str, str] | None = None,
    fix: bool = False,
) -> Plan:
    """Register everything that is on disk and is not registered.

    What optional registries lack of that is a notice with the command that adds it. Standing gaps are none.

    Args:
        snapshot: The checkout.
        also: Names of optional registries to fill too.
        only: Names of exports; without it all that are found.
        base: Texts of ``BASELINE`` before this branch; what is registered since then counts as new for ``also``.
        fix: Whether to take out what is listed and nothing defines any more.

    Raises:
        ScaffoldError: Not a checkout of diffusers, a broken registry, or one without its anchor.
    """
    unknown = sorted(set(also) - {registry.NAME for registry in OPTIONAL})
    if unknown:
        names = ", ".join(registry.NAME for registry in OPTIONAL)
        raise BadInput(f"no optional registry is called {unknown[0]}", hint=f"choose from {names}")
    check_registries(snapshot)
    normal = _Normalised(snapshot)
    conventions = detect(normal.snapshot)
    scanner = Scanner(normal.snapshot)
    stale = [] if only is not None else find_stale(scanner, conventions.line_length)
    for item in stale if fix else ():
        normal.edited[item.entry.path] = item.registry.remove(_source(normal.snapshot, item.entry), item.entry)
    found = discover(normal.snapshot, None if normal.edited else scanner)
    new = discover(normal.snapshot.overlaid(dict(base))) if base else found
    entries = _fill(normal, conventions, found, only)
    subjects = _new_subjects(new, only)
    chosen = [registry for registry in OPTIONAL if registry.NAME in also]
    entries += [item for registry in chosen for item in _insert(normal, conventions, registry, subjects)]
    notices: list[str] = []
    if only is None:
        notices = [*_notices(normal.snapshot, conventions, found, also), *_long_titles(found), *moved(normal.snapshot)]
    _prove(normal, entries)
    builder = PlanBuilder()
    created: list[NewFile] = []
    for path, text in normal.edited.items():
        before = snapshot.read(path)
        if before is None:
            created.append(NewFile(path, text))
        else:
            builder.edit(path, before, normal.restored(path, text))
    return Plan(
        new_files=tuple(created),
        edits=builder.edits(),
        entries=tuple(
            Registered(entry.registry, entry.object, entry.path, entry.text_key if entry.several else "")
            for _, entry in entries
        ),
        findings=() if fix else tuple(item.finding() for item in stale),
        notices=(*stale_notices(stale, fixed=fix), *found.notices, *_unmapped(normal.snapshot, found, only), *notices),
    )


def check_registries(snapshot: Snapshot) -> None:
    """Refuse what is no checkout of diffusers, and registries that can not be read."""
    root = snapshot.read(CORE[0])
    if root is None or "_import_structure" not in root or snapshot.read(CORE[1]) is None:
        raise NotACheckout(
            "this is no checkout of diffusers", path=CORE[0], hint="run inside one, or name it with --checkout"
        )
    for path in CORE:
        text = snapshot.read(path)
        if text is None:
            continue
        if path in dummy_objects.COMMON:
            # Long, and parsed anyway as soon as something is to be added to them.
            check_markers(path, text)
        else:
            check_text(path, text)


class _Normalised:
    """A snapshot whose texts have plain line feeds, with the edits so far on top.

    A file with CRLF throughout gets its line ends back; one with mixed ends is edited as it is.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.original = snapshot
        self.snapshot = _PlainSnapshot(snapshot)
        self.edited = self.snapshot.edited

    def restored(self, path: str, text: str) -> str:
        """``text`` with the line ends that the file has on disk."""
        return text.replace("\n", "\r\n") if _is_crlf(self.original.read(path) or "") else text


class _PlainSnapshot(Snapshot):
    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot.root, snapshot._overlay)
        self._base = snapshot
        self.edited: dict[str, str] = {}

    def overlaid(self, texts: Mapping[str, str]) -> Snapshot:
        return _PlainSnapshot(self._base.overlaid(texts))

    def read(self, path: str) -> str | None:
        if path in self.edited:
            return self.edited[path]
        text = self._base.read(path)
        return text.replace("\r\n", "\n") if text is not None and _is_crlf(text) else text


def _is_crlf(text: str) -> bool:
    return "\r" in text and text.count("\r\n") == text.count("\n")


def _fill(
    normal: _Normalised, conventions: Conventions, found: Discovery, only: Collection[str] | None
) -> list[tuple[Registry, Entry]]:
    """Insert what is missing, registry by registry; the overlay shows each the edits of those before it."""
    done: list[tuple[Registry, Entry]] = []
    subjects = _new_subjects(found, only)
    for registry in REGISTRIES:
        extra: list[Subject] = [export for export, name in found.partial if name == registry.NAME]
        if registry.NAME in PACKAGE_REGISTRIES:
            extra.extend(component for component in found.components if component not in subjects)
        wanted = [subject for subject in extra if only is None or _is_wanted(subject, only)]
        done.extend(_insert(normal, conventions, registry, [*subjects, *wanted]))
    return done


def _new_subjects(found: Discovery, only: Collection[str] | None) -> list[Subject]:
    """What has to be registered, or else what is asked for by name.

    A name that the root exports in part is a matter for `check --fix`, unless it is asked for by name.
    """
    exports = [export for export in found.exports if only is not None or export.name not in found.registered]
    subjects: list[Subject] = [*exports, *found.pages]
    return [subject for subject in subjects if only is None or _is_wanted(subject, only)]


def wanting(
    snapshot: Snapshot, conventions: Conventions, found: Discovery
) -> Iterator[tuple[Registry, Subject, Entry]]:
    """What the optional registries lack of what is new."""
    subjects = _new_subjects(found, None)
    for registry in OPTIONAL:
        for subject in subjects:
            for entry in registry.entries(subject, conventions, snapshot):
                if not _is_listed(registry, _source(snapshot, entry), entry):
                    yield registry, subject, entry


def _insert(
    normal: _Normalised, conventions: Conventions, registry: Registry, subjects: Sequence[Subject]
) -> list[tuple[Registry, Entry]]:
    done: list[tuple[Registry, Entry]] = []
    before: dict[str, str] = {}
    for subject in subjects:
        for entry in registry.entries(subject, conventions, normal.snapshot):
            source = _source(normal.snapshot, entry)
            edited = guard.insert(registry, source, entry)
            if edited == source:
                continue
            before.setdefault(entry.path, source)
            normal.edited[entry.path] = edited
            done.append((registry, entry))
    for path, source in before.items():
        # Once for all entries of a registry: reading a long one again for each would take most of the time.
        inserted = [entry for _, entry in done if entry.path == path]
        guard.check_insertions(registry, source, normal.edited[path], inserted)
    return done


def _notices(snapshot: Snapshot, conventions: Conventions, found: Discovery, also: Sequence[str]) -> Iterator[str]:
    """Notices for the optional registries that lack something new, each with the command that adds it."""
    for name, group in groupby(wanting(snapshot, conventions, found), lambda each: each[0].NAME):
        missing = [entry for _, _, entry in group if name not in also]
        if missing:
            names = ", ".join(dict.fromkeys(entry.object for entry in missing))
            command = f"scaffold-model register --also {name}"
            yield f"{missing[0].path}: {names} may be listed there too; `{command}` adds that"


def _long_titles(found: Discovery) -> Iterator[str]:
    """Notices for pages whose heading is a sentence: the table of contents has a shorter title, which nobody can guess."""
    for page in found.pages:
        if len(page.title.split()) > LONG_TITLE:
            yield f'{toctree.PATH}: {page.local} is titled "{page.title}", as the page is; shorten it there if you like'


def _unmapped(snapshot: Snapshot, found: Discovery, only: Collection[str] | None) -> Iterator[str]:
    """Notices for the new modular pipelines that no key of the mapping leads to."""
    for export in found.exports:
        if export.kind != "modular pipeline" or export.name in found.registered:
            continue
        reason = modular_mapping.unmapped_reason(export, snapshot) if only is None or export.name in only else None
        if reason:
            yield f"{modular_mapping.PATH}: {reason}"


def _is_wanted(subject: Subject, only: Collection[str]) -> bool:
    if isinstance(subject, Page):
        return subject.local in only or bool(set(subject.documents) & set(only))
    return subject.name in only


def _source(snapshot: Snapshot, entry: Entry) -> str:
    text = snapshot.read(entry.path)
    if text is not None:
        return text
    if not entry.start:
        raise AnchorNotFound(entry.path, "the file")
    return entry.start


def _is_listed(registry: Registry, text: str, entry: Entry) -> bool:
    """Whether the entry is there, asked of the parser only when the name is in the text at all."""
    if entry.object not in text:
        return False
    with _readable(entry.path):
        return any(entry.is_listed_as(item) for item in of_name(registry.listed(text), entry.object))


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Say which file it is that a registry can not read."""
    try:
        yield
    except SyntaxError as error:
        raise BrokenFile(
            f"syntax error in line {error.lineno}: {error.msg}", path=path, hint="mend it and run again"
        ) from None


def _prove(normal: _Normalised, entries: list[tuple[Registry, Entry]]) -> None:
    """Every edited file parses, and every entry is in it exactly once."""
    for path, text in normal.edited.items():
        if path.endswith(".py"):
            try:
                read_python(path, text)
            except SyntaxError as error:
                # A file that only a line scan has read may have been broken before; then the user is told.
                check_text(path, normal.original.read(path) or "")
                raise AssertionError(f"{path}: the edit broke line {error.lineno}") from error
    for registry, entry in entries:
        named = of_name(registry.listed(normal.edited[entry.path]), entry.object)
        count = sum(entry.is_listed_as(item) for item in named)
        if count != 1:
            raise AssertionError(f"{entry.path}: {entry.object} is listed {count} times after registering it")
