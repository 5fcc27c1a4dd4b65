"""Whether the checkout has what generated code imports from it: a checkout of long ago lacks what nothing can make up for."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping

from .code.syntax import parse
from .errors import BadInput
from .snapshot import Snapshot

_ROOT = "src/diffusers/"


def check_needs(snapshot: Snapshot, files: Mapping[str, str], own: Collection[str]) -> None:
    """Refuse a checkout without a name that generated code imports.

    Args:
        snapshot: The checkout.
        files: The generated files by path.
        own: Names that the checkout gets with the scaffold.

    Raises:
        BadInput: Names the first thing that is missing, and where.
    """
    for path, text in files.items():
        if path.startswith(_ROOT) and path.endswith(".py"):
            for module, name in _imported(path, text):
                places = (f"{module}.py", f"{module}/__init__.py")
                if name in own or any(place in files for place in places):
                    continue
                if not any(_has(snapshot, place, name) for place in places):
                    place = next((one for one in places if snapshot.exists(one)), places[0])
                    raise BadInput(
                        f"this checkout has no {name}, which the generated {path.removeprefix(_ROOT)} needs",
                        path=place,
                        hint="update the checkout",
                    )


def _imported(path: str, text: str) -> Iterator[tuple[str, str]]:
    """Modules of diffusers, as paths without a suffix, and the names imported from them."""
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.split("/")[: -node.level]
            module = "/".join([*folder, *(node.module or "").split(".")]).rstrip("/")
            for alias in node.names:
                if alias.name != "*":
                    yield module, alias.name


def _has(snapshot: Snapshot, place: str, name: str) -> bool:
    """Whether a module speaks of a name, or is the package of a module of that name."""
    text = snapshot.read(place)
    if text is None:
        return False
    submodule = place.removesuffix("/__init__.py")
    return re.search(rf"\b{name}\b", text) is not None or (
        submodule != place
        and (snapshot.exists(f"{submodule}/{name}.py") or snapshot.exists(f"{submodule}/{name}/__init__.py"))
    )
