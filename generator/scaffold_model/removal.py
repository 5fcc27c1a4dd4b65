"""The plans that take a model out again: its registrations alone, or its files too. A snapshot in, a plan out.

What the registries list is asked of the registries, and each takes out what it can put in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from .audit.view import View
from .belongings import Belongings, belongings
from .code.definitions import references, remove_definition
from .errors import BadInput, BrokenFile
from .manifest import Manifest, fingerprint, manifest_path
from .plan import Edit, Plan, Registered, RemovedFile
from .registration import check_registries
from .registries import OPTIONAL, REGISTRIES, Entry, Listed, Registry
from .scanning import LORA
from .single_file_utils import UTILS, remove_single_file
from .snapshot import Snapshot
from .sound import check_text
from .spec import ModelSpec
from .stale import module_of, registry_paths
from .trials import Trials, plain

_COPIED = re.compile(r"# Copied from diffusers\.([\w.]+)")
_AREA = "api/pipelines/"
#: What the manifest calls a class that `add --lora` has put into a test.
LORA_TEST = "lora_test"


def unregister(snapshot: Snapshot, name: str, *, also: Sequence[str] = ()) -> Plan:
    """Take out what `register` would put in again, and keep the model's files, the lists of its own packages among them.

    What optional registries list stays, unless they are named: how a key is called, or which function converts a
    checkpoint, could not be told from the code again. For the same reason a name stays which `register` would not find,
    or would put elsewhere, and one without which it would list another name otherwise; a notice names each.

    Args:
        snapshot: The checkout.
        name: The model.
        also: Names of optional registries to take it out of too.

    Raises:
        ScaffoldError: There is no such model, or a registry can not be edited.
    """
    chosen = (*REGISTRIES, *_optional(also))
    check_registries(snapshot)
    view = View(snapshot)
    mine = belongings(view, name)

    def take_out(kept: Collection[str]) -> Plan:
        texts = _Texts(snapshot)
        entries = _take_out(texts, mine, view.conventions.line_length, chosen, kept)
        return Plan(edits=texts.edits(), entries=tuple(entries))

    trials = Trials(snapshot, view.scanner, take_out)
    plan = trials.settle()
    notices = (
        *trials.notices(),
        *_left(snapshot, mine, [registry for registry in OPTIONAL if registry not in chosen]),
    )
    if not plan.entries:
        return Plan(notices=(f"no registry lists anything of {name} that `register` would find", *notices))
    if mine.manifest is not None:
        plan = _with_manifest(plan, snapshot, name, mine.manifest, {})
    command = " ".join(["scaffold-model register", *(f"--also {registry}" for registry in also)])
    return replace(plan, notices=notices, next_steps=(f"{command}   # registers it again",))


def _optional(names: Sequence[str]) -> tuple[Registry, ...]:
    known = {registry.NAME: registry for registry in OPTIONAL}
    for name in names:
        if name not in known:
            raise BadInput(f"no optional registry is called {name}", hint=f"choose from {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names))


def _left(snapshot: Snapshot, mine: Belongings, registries: Iterable[Registry]) -> Iterator[str]:
    """Notices for what optional registries still list."""
    for registry in registries:
        for path in registry_paths(registry, snapshot):
            listed = registry.listed(plain(snapshot.read(path) or ""))
            names = dict.fromkeys(item.object for item in listed if _is_ours(item, mine, registry))
            if names:
                yield (
                    f"{path} still lists {', '.join(names)}; "
                    f"`scaffold-model unregister {mine.name} --also {registry.NAME}` takes that out"
                )


def remove(
    snapshot: Snapshot, name: str, committed: Callable[[Collection[str]], Mapping[str, str]], *, force: bool = False
) -> Plan:
    """Take a model out: its files, its registrations, and its definitions in shared modules.

    Args:
        snapshot: The checkout.
        name: The model.
        committed: The texts that HEAD has of some files; a file of a model that is no scaffold counts as edited when
            HEAD has another text of it or none.
        force: Take edited files too.

    Raises:
        BadInput: There is no such model, or another one uses it.
        ScaffoldError: A registry can not be edited.
    """
    check_registries(snapshot)
    view = View(snapshot)
    mine = belongings(view, name)
    texts = _Texts(snapshot)
    entries = _take_out(texts, mine, view.conventions.line_length, (*REGISTRIES, *OPTIONAL), ())
    entries += _take_out_definitions(texts, mine)
    manifest = mine.manifest
    state = tuple(snapshot.walk(f".scaffold/{name}", ""))
    harness = [path for path in state if path.endswith(".py")]
    edited = [] if force else _edited(snapshot, [*mine.files, *harness], manifest, committed)
    _refuse_if_used(snapshot.overlaid(texts.edited), mine, view)
    gone = [path for path in mine.files if path not in edited] + ([] if edited else list(state))
    plan = Plan(
        edits=texts.edits(),
        removed=tuple(RemovedFile(path, snapshot.read(path) or "") for path in gone),
        entries=tuple(entries),
        notices=(
            *(f"{path} was edited and stays; --force removes it too" for path in edited),
            *_copies(snapshot, mine),
        ),
    )
    if edited and manifest is not None:
        plan = _with_manifest(
            plan, snapshot, name, manifest, {path: manifest.created.get(path, "") for path in edited}
        )
    return plan


class _Texts:
    """The shared files as they will be, with plain line feeds while they are worked on."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.edited: dict[str, str] = {}

    def read(self, path: str) -> str:
        text = self.edited.get(path)
        return text if text is not None else plain(self.snapshot.read(path) or "")

    def edit(self, path: str, text: str) -> None:
        if text != self.read(path):
            self.edited[path] = text

    def edits(self) -> tuple[Edit, ...]:
        found = []
        for path, text in self.edited.items():
            before = self.snapshot.read(path) or ""
            check_text(path, text)
            found.append(Edit(path, before, text.replace("\n", "\r\n") if plain(before) != before else text))
        return tuple(found)


def _take_out(
    texts: _Texts, mine: Belongings, width: int, registries: Sequence[Registry], kept: Collection[str]
) -> list[Registered]:
    """Take the model out of some registries, the last one first, but for what is kept; prove that nothing else went."""
    done: list[Registered] = []
    for registry in reversed(registries):
        for path in registry_paths(registry, texts.snapshot):
            if path in mine.files:
                continue
            source = texts.read(path)
            if not any(name in source for name in (*mine.classes, *mine.pages, *_rows(mine))):
                continue
            listed = registry.listed(source)
            ours = [item for item in listed if _is_ours(item, mine, registry) and item.object not in kept]
            for item in ours:
                module = module_of(source, item.object)
                entry = Entry(registry.NAME, path, item.object, item.key, item.value, item.backends, (module,), width)
                texts.edit(path, registry.remove(texts.read(path), entry))
                done.append(Registered(registry.NAME, item.object, path, str(item.key)))
            _prove(registry, path, texts.read(path), [item for item in listed if item not in ours])
    return done


def _rows(mine: Belongings) -> set[str]:
    """The pages as the overview of pipelines names them."""
    return {page.removeprefix(_AREA) for page in mine.pages if page.startswith(_AREA)}


def _is_ours(item: Listed, mine: Belongings, registry: Registry) -> bool:
    """Whether an entry is the model's: by its object, or, in a mapping, by the class that its value names."""
    if registry.NAME == "docs_overview":
        return item.object in _rows(mine)
    if "/" in item.object:
        return item.object in mine.pages
    return item.object in mine.classes or not mine.classes.isdisjoint(re.findall(r"\w+", item.value))


def _prove(registry: Registry, path: str, text: str, wanted: Iterable[Listed]) -> None:
    """What is left is all that was there before but for the model's entries, in the same order within each list."""
    left = Counter(item._replace(line=0) for item in registry.listed(text))
    if left != Counter(item._replace(line=0) for item in wanted):
        raise BrokenFile(
            f"the entries could not be taken out of {registry.NAME} cleanly", path=path, hint="take them out by hand"
        )


def _take_out_definitions(texts: _Texts, mine: Belongings) -> list[Registered]:
    """What was added to modules that models share: LoRA mixins, and what the manifest names beside the registries."""
    known = {registry.NAME for registry in (*REGISTRIES, *OPTIONAL)}
    wanted = [("lora_mixin", mixin, LORA) for mixin in mine.mixins]
    for path, entries in mine.manifest.edited.items() if mine.manifest else ():
        # A class that was added to one of the model's own tests goes with the file.
        if path not in mine.files:
            wanted += [(registry, name, path) for registry, name in entries if registry not in known]
    done = []
    for registry, name, path in dict.fromkeys(wanted):
        before = texts.read(path)
        if path == UTILS:
            # One function, an entry in two dictionaries and a branch, which go together.
            texts.edit(path, remove_single_file(before, ModelSpec(mine.name)))
        else:
            texts.edit(path, remove_definition(before, name))
        if texts.read(path) != before:
            done.append(Registered(registry, name, path))
    return done


def _edited(
    snapshot: Snapshot,
    paths: Iterable[str],
    manifest: Manifest | None,
    committed: Callable[[Collection[str]], Mapping[str, str]],
) -> list[str]:
    """The files that hold something that would be lost: not as the scaffold wrote them, or not as HEAD has them."""
    known = manifest.created if manifest else {}
    edited = [path for path in paths if path in known and _written(snapshot, path, manifest) != known[path]]
    others = [path for path in paths if path not in known]
    heads = committed(others) if others else {}
    return sorted([*edited, *(path for path in others if heads.get(path) != snapshot.read(path))])


def _written(snapshot: Snapshot, path: str, manifest: Manifest | None) -> str:
    """The fingerprint of a file without the LoRA tests that `add` has put into it."""
    text = snapshot.read(path) or ""
    entries = manifest.edited.get(path, []) if manifest else []
    classes = [name for registry, name in entries if registry == LORA_TEST]
    if classes:
        from .adding.lora_tests import without_lora_tests

        text = without_lora_tests(text, classes)
    return fingerprint(text)


def _refuse_if_used(after: Snapshot, mine: Belongings, view: View) -> None:
    users: list[str] = []
    for path in after.walk("src/diffusers"):
        if path in mine.files:
            continue
        found = references(after.read(path) or "", mine.classes)
        users += [f"{name} in {path}:{line}" for name, line in sorted(found.items())]
    if users:
        more = f" and {len(users) - 3} more" if len(users) > 3 else ""
        raise BadInput(
            f"{mine.name} is used elsewhere: {', '.join(users[:3])}{more}",
            hint=f"take that out first, or only the registrations with `scaffold-model unregister {mine.name}`",
        )


def _copies(snapshot: Snapshot, mine: Belongings) -> Iterator[str]:
    """Notices for the files that copy blocks from the model's."""
    modules = tuple(
        path.removeprefix("src/diffusers/").removesuffix(".py").replace("/", ".") + "."
        for path in mine.files
        if path.startswith("src/diffusers/") and path.endswith(".py")
    )
    for path in snapshot.walk("src/diffusers") if modules else ():
        if path not in mine.files:
            text = snapshot.read(path) or ""
            count = (
                sum(source.startswith(modules) for source in _COPIED.findall(text)) if "# Copied from" in text else 0
            )
            if count:
                yield f"{path} copies {count} block{'s' if count > 1 else ''} from {mine.name}; drop the headers there"


def _with_manifest(plan: Plan, snapshot: Snapshot, name: str, manifest: Manifest, kept: Mapping[str, str]) -> Plan:
    """The plan with the manifest brought up to date: what is no longer registered, and which files are left."""
    taken = {(entry.path, entry.registry, entry.object) for entry in plan.entries}
    edited = {
        path: [entry for entry in entries if (path, entry[0], entry[1]) not in taken]
        for path, entries in manifest.edited.items()
    }
    left = {path: value for path, value in manifest.created.items() if not plan.removed or path in kept}
    new = replace(manifest, created=left, edited={path: entries for path, entries in edited.items() if entries})
    path = manifest_path(name)
    return replace(plan, edits=(*plan.edits, Edit(path, snapshot.read(path) or "", new.text())))
