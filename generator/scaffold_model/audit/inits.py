"""Lazy init modules: what a half lacks, what it names in vain, duplicates, groups and order.

What must be listed follows from four sources: the classes on disk, the init above, the init's other half, and for the
packages of ``models/`` what ``models/__init__`` names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from ..registries import init_reading, paths
from ..registries.base import ROOT, Entry, area
from .groups import GROUPED, group_problems
from .problem import Problem, Repair, problem, shown
from .sorting import order_problems
from .view import HALVES, REGISTRY_BY_NAME, ROOT_INIT, Init, Spot, View, read_init

MODELS = f"{ROOT}/models"


def check(view: View) -> Iterator[Problem]:
    """Every problem of every init module."""
    stale = stale_spots(view)
    for path in _plain_packages(view):
        try:
            _plain_spots(view, path)
        except SyntaxError as error:
            view.broken[path] = error
    for path, reason in view.broken.items():
        package = path.split("/")[-2]
        yield problem("syntax", package, path, reason.lineno, f"syntax error: {reason.msg}", "error")
    gone = {(init.path, half, spot.name) for init, half, spot in stale}
    for init, half, spot in stale:
        yield _stale(view, init, half, spot)
    for path, names in wanted(view, gone).items():
        if path in view.broken:
            continue
        if path in view.inits:
            yield from _missing(view, view.inits[path], names)
        else:
            yield from _missing_from_plain(view, path, names)
    for init in view.inits.values():
        for half in HALVES:
            yield from _duplicates(
                init, half, gone=frozenset((s.name, s.line) for i, h, s in stale if i is init and h == half)
            )
            yield from order_problems(view, init, half)
    for path in _plain_packages(view):
        if path not in view.broken:
            yield from _plain_problems(view, path)
    yield from group_problems(view)


# What must be listed ---------------------------------------------------------------------------------------------


def wanted(view: View, gone: set[tuple[str, str, str]]) -> dict[str, set[str]]:
    """Init module -> the names that both of its halves must list."""
    names: dict[str, set[str]] = defaultdict(set)
    for init in view.inits.values():
        for half in HALVES:
            for spot in init.spots[half]:
                if (init.path, half, spot.name) not in gone:
                    names[init.path].add(spot.name)
    for export in view.exports.values():
        if paths.is_exported(export):
            names[ROOT_INIT].add(export.name)
        if area(export) in (*GROUPED, "loaders") and export.path.count("/") > 2:
            names[f"{ROOT}/{area(export)}/__init__.py"].add(export.name)
    for component in view.found.components:
        names[f"{component.path.rsplit('/', 1)[0]}/__init__.py"].add(component.name)
    # The root comes first, so that what it lists is asked of the areas, and what those list of the packages.
    for init in view.inits.values():
        for half in HALVES:
            for spot in init.spots[half]:
                below = _below(view, init, half, spot)
                if below and (init.path, half, spot.name) not in gone and not _lies_elsewhere(view, init, spot):
                    names[below].add(spot.name)
    for export in view.exports.values():
        for path, _ in paths.package_inits(export):
            if path in view.inits:
                names[path].add(export.name)
    return names


def _below(view: View, init: Init, half: str, spot: Spot) -> str | None:
    """The init module that a spot relies on: that of the area, of the package, of the folder of models."""
    if init.path == ROOT_INIT:
        below = f"{ROOT}/{spot.module}/__init__.py"
        return below if below in view.inits and spot.module in GROUPED else None
    if init.folder == MODELS:
        folder = f"{MODELS}/{spot.module.split('.')[0]}/__init__.py"
        return folder if init_reading.is_plain(view.snapshot.read(folder)) else None
    below = f"{init.folder}/{spot.module.replace('.', '/')}/__init__.py"
    return below if below in view.inits else None


def _lies_elsewhere(view: View, init: Init, spot: Spot) -> bool:
    """Whether the class is in another package that the init lists it under too; then this listing is the duplicate."""
    others = {other.module for other in init.by_name[spot.name]} - {spot.module}
    path = view.path_of(spot.name) if others else None
    if path is None:
        return False
    return not _holds(init, spot.module, path) and any(_holds(init, module, path) for module in others)


def _holds(init: Init, module: str, path: str) -> bool:
    return path.startswith(f"{init.folder}/{module.replace('.', '/')}/")


def _missing(view: View, init: Init, names: set[str]) -> Iterator[Problem]:
    for half in HALVES:
        other = init.names("types" if half == "structure" else "structure")
        here = init.names(half)
        for name in sorted(names - here.keys()):
            if name in init.eager or (name.startswith("is_") and _is_helper(init, other.get(name))):
                continue
            yield _missing_one(view, init, half, name, other.get(name))


def _is_helper(init: Init, spot: Spot | None) -> bool:
    """Whether the root takes a name from elsewhere than the areas of models and pipelines.

    An import that the engine would put there can close a circle, so such a name is for people to place.
    """
    return init.path == ROOT_INIT and spot is not None and spot.module not in paths.EXPORTED


def _missing_one(view: View, init: Init, half: str, name: str, other: Spot | None) -> Problem:
    registry = init.registry(half)
    line, repair = None, None
    if name in view.exports or any(name == each.name for each in view.found.components):
        repair = Repair("register", registry, Entry(registry, init.path, name))
    module = _module_in(view, init, half, name, other)
    if module is not None:
        line = next((spot.statement for spot in init.spots[half] if spot.module == module), None)
        if repair is None and other is not None and not _is_helper(init, other):
            entry = Entry(
                registry, init.path, name, module, backends=other.backends, width=view.conventions.line_length
            )
            repair = Repair("insert", registry, entry)
    if line is None and other is not None:
        line = other.line
    title = "_import_structure" if half == "structure" else "TYPE_CHECKING"
    if other is not None:
        reason = (
            f"the {'TYPE_CHECKING' if half == 'structure' else '_import_structure'} half lists it in line {other.line}"
        )
    elif init.path == ROOT_INIT or name not in view.in_root:
        reason = f"it is defined in {view.path_of(name)}" if view.path_of(name) else "an init above lists it"
    else:
        reason = f"{ROOT_INIT} lists it"
    public = (name in view.in_root or name in view.exports) and not _is_helper(init, other)
    return problem(
        registry,
        name,
        init.path,
        line,
        f"{name} is missing from the {title} half: {reason}",
        "error" if public else "warning",
        repair,
    )


def _module_in(view: View, init: Init, half: str, name: str, other: Spot | None) -> str | None:
    """The key that a name has, or would have, in one half."""
    if init.path == ROOT_INIT:
        return other.module if other else area(view.exports[name]) if name in view.exports else None
    if init.folder == MODELS:
        path = view.path_of(name)
        if path is None or not path.startswith(f"{MODELS}/"):
            return other.module if other else None
        parts = path[len(MODELS) + 1 :].removesuffix(".py").split("/")
        grouped = len(parts) > 1 and view.snapshot.exists(f"{MODELS}/{parts[0]}/__init__.py")
        return parts[0] if half == "types" and grouped else ".".join(parts)
    if other is not None:
        return other.module
    path = view.path_of(name)
    if path is not None and path.startswith(f"{init.folder}/"):
        return path[len(init.folder) + 1 :].removesuffix(".py").split("/")[0]
    return None


# The plain inits of models/<folder> ------------------------------------------------------------------------------


def _plain_packages(view: View) -> list[str]:
    return [
        path
        for folder in view.snapshot.folders(MODELS)
        if init_reading.is_plain(view.snapshot.read(path := f"{MODELS}/{folder}/__init__.py"))
    ]


def _plain_spots(view: View, path: str) -> tuple[Spot, ...]:
    return read_init(path, view.text(path)).spots["types"]


def _missing_from_plain(view: View, path: str, names: set[str]) -> Iterator[Problem]:
    if not init_reading.is_plain(view.snapshot.read(path)):
        return
    spots = _plain_spots(view, path)
    here = {spot.name for spot in spots}
    for name in sorted(names - here):
        source = view.path_of(name)
        module = source.rsplit("/", 1)[1].removesuffix(".py") if source else ""
        line = next((spot.statement for spot in spots if spot.module == module), None)
        repair = None
        if name in view.exports:
            repair = Repair("register", "models_package", Entry("models_package", path, name))
        reason = f"{MODELS}/__init__.py lists it"
        yield problem("models_package", name, path, line, f"{name} is missing: {reason}", "error", repair)


def _plain_problems(view: View, path: str) -> Iterator[Problem]:
    init = read_init(path, view.text(path))
    spots = init.spots["types"]
    folder = path.rsplit("/", 1)[0]
    width = view.conventions.line_length
    for spot in spots:
        if resolves(view, folder, spot) is False:
            entry = Entry("models_package", path, spot.name, spot.module, width=width)
            yield problem(
                "models_package",
                spot.name,
                path,
                spot.line,
                f"{spot.name} is listed, but {folder}/{spot.module}.py does not define it",
                "error",
                Repair("remove", "models_package", entry),
            )
    yield from _duplicates(init, "types", "models_package")
    yield from order_problems(view, init, "types", "models_package")


# What is listed in vain ------------------------------------------------------------------------------------------


def stale_spots(view: View) -> list[tuple[Init, str, Spot]]:
    """The spots whose module does not have the name, or is not there; looked for once per view."""
    if view.stale is None:
        view.stale = list(_stale_spots(view))
    return view.stale


def _stale_spots(view: View) -> Iterator[tuple[Init, str, Spot]]:
    for init in view.inits.values():
        for half in HALVES:
            for spot in init.spots[half]:
                own = view.package is not None and init.path.count("/") > 3
                if (own or view.concerns(spot.name)) and resolves(view, init.folder, spot) is False:
                    yield init, half, spot


def resolves(view: View, folder: str, spot: Spot, depth: int = 0) -> bool | None:
    """Whether a name is there; None where nothing can be said."""
    key = (folder, spot.module, spot.name)
    if key not in view.resolved:
        view.resolved[key] = _resolve(view, folder, spot, depth)
    return view.resolved[key]


def _resolve(view: View, folder: str, spot: Spot, depth: int) -> bool | None:
    base = f"{folder}/{spot.module.replace('.', '/')}" if spot.module else folder
    if view.snapshot.exists(f"{base}.py"):
        return view.defines(f"{base}.py", spot.name)
    package = f"{base}/__init__.py"
    if package in view.inits:
        lower = view.inits[package].by_name.get(spot.name)
        if lower and depth < 4:
            # In another module of the package than its init says: that is the init's mistake, and not this one's.
            inside = (view.path_of(spot.name) or "").startswith(f"{base}/")
            return inside or any(resolves(view, base, each, depth + 1) is not False for each in lower)
        if lower:
            return None
        # Not listed there: a class that is on disk is missing from that init, anything else is gone.
        return spot.name in view.scanner.sites or view.defines(package, spot.name)
    if view.package is not None and view.snapshot.exists(package):
        # Another model's package, which a check of one model does not open.
        return None
    if view.snapshot.exists(package):
        return view.defines(package, spot.name) or None
    if view.snapshot.files(base):
        return None
    return spot.name in view.scanner.sites and view.path_of(spot.name) is None


def _stale(view: View, init: Init, half: str, spot: Spot) -> Problem:
    registry = init.registry(half)
    base = f"{init.folder}/{spot.module.replace('.', '/')}"
    place = f"{base}.py" if view.snapshot.exists(f"{base}.py") else base
    there = view.snapshot.exists(place) or bool(view.snapshot.files(place))
    reason = f"{place} does not define it" if there else f"there is no {place}.py"
    public = spot.name in view.in_root
    width = view.conventions.line_length
    entry = Entry(registry, init.path, spot.name, spot.module, backends=spot.backends, width=width)
    message = f"{spot.name} is listed, but {reason}"
    repair = Repair("remove", registry, entry) if registry in REGISTRY_BY_NAME else None
    module = _moved_to(view, init, half, spot)
    if repair and module:
        message += f": it is in {view.path_of(spot.name)}"
        repair = Repair("move", registry, replace(entry, key=module), entry)
    return problem(registry, spot.name, init.path, spot.line, message, "error" if public else "warning", repair)


def _moved_to(view: View, init: Init, half: str, spot: Spot) -> str | None:
    """The module of the same folder that has the name now, where the half lists it nowhere else."""
    path = view.path_of(spot.name)
    if path is None or not path.startswith(f"{init.folder}/") or init.path == ROOT_INIT:
        return None
    listed = [other for other in init.spots[half] if other.name == spot.name]
    return _module_in(view, init, half, spot.name, None) if len(listed) == 1 else None


# Duplicates ------------------------------------------------------------------------------------------------------


def _duplicates(
    init: Init, half: str, registry: str | None = None, gone: frozenset[tuple[str, int]] = frozenset()
) -> Iterator[Problem]:
    registry = registry or init.registry(half)
    seen: dict[str, Spot] = {}
    for spot in init.spots[half]:
        if (spot.name, spot.line) in gone:
            continue
        first = seen.setdefault(spot.name, spot)
        if first is spot:
            continue
        repair = None
        if first.suite == spot.suite:
            where = f"already in line {first.line}"
            if first.module == spot.module:
                repair = Repair("remove", registry, Entry(registry, init.path, spot.name, spot.module))
        else:
            where = f"already in line {first.line}, under {shown(first.backends)} instead of {shown(spot.backends)}"
        if where.endswith(f"line {spot.line}"):
            where = "twice in this line"
        yield problem(
            registry, spot.name, init.path, spot.line, f"{spot.name} is a duplicate: {where}", "warning", repair
        )
