"""What a filled block needs at the top of its new module, resolved against the module that it comes from."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import CopySourceError
from .names import Binding, bindings, bound_by, dotted_uses, free_names
from .source import Module

_BUILTINS = frozenset(dir(builtins))
_MODULAR = "diffusers.modular_pipelines"


def package_of(path: str) -> list[str]:
    """The package in which a file lies: ``[diffusers, models]``; nothing for a file outside ``src``."""
    parts = path.split("/")
    return parts[1:-1] if parts[0] == "src" else []


def module_name(path: str) -> str:
    """``diffusers.models.attention`` for ``src/diffusers/models/attention.py``."""
    return ".".join([*package_of(path), path.rsplit("/", 1)[1].removesuffix(".py")])


def absolute(node: ast.ImportFrom, package: list[str]) -> str:
    """The module that ``from ..x import y`` names when it stands in ``package``."""
    base = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def relative(module: str, package: list[str]) -> str:
    """The house style's way of naming ``module`` from ``package``: relative inside diffusers."""
    parts = module.split(".")
    common = 0
    while common < min(len(parts), len(package)) and parts[common] == package[common]:
        common += 1
    if not common:
        return module
    return "." * (len(package) - common + 1) + ".".join(parts[common:])


@dataclass
class Needs:
    """Collects what the blocks of one file need.

    Attributes:
        path: The file that is being filled.
        bound: The names that it has so far; grows as statements are added.
        imports: Import statements to add.
        statements: Other statements to add, below the imports: availability guards, a logger.
    """

    path: str
    bound: set[str]
    imports: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    def add(self, code: str, module: Module, qualname: str, *, method: bool) -> None:
        """Add what ``code``, which comes from ``module``, needs.

        Raises:
            CopySourceError: Something that can not be had.
        """
        self._check_local_imports(code, module, qualname)
        for name in sorted(free_names(code, method=method)):
            self._resolve(name, code, module, qualname)

    def _refuse(self, qualname: str, reason: str, hint: str) -> CopySourceError:
        return CopySourceError(f"{qualname} can not be copied: {reason}", path=self.path, hint=hint)

    def _check_local_imports(self, code: str, module: Module, qualname: str) -> None:
        """A relative import inside a function is copied as it is, so it must mean the same here as there."""
        here, there = package_of(self.path), package_of(module.path)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.level and absolute(node, here) != absolute(node, there):
                raise self._refuse(
                    qualname,
                    f"`{ast.unparse(node)}` inside it holds only in the folder of {module.path}",
                    "write this block by hand",
                )

    def _resolve(self, name: str, code: str, module: Module, qualname: str) -> None:
        found = module.bindings.get(name, [])
        dotted = [each.statement for each in found if _is_dotted(each, name)]
        if dotted and len(dotted) == len(found):
            self._add_dotted(dotted, name, code)
            return
        if name in self.bound:
            return
        if not found:
            if name in _BUILTINS or (name.startswith("__") and name.endswith("__")):
                return
            raise self._refuse(
                qualname,
                f"it uses {name}, which neither {module.path} nor this file defines",
                f"define or import {name} in this file, or mend the renames of the header",
            )
        self.bound.add(name)
        if all(each.container is None for each in found):
            self._add_plain(name, found, module, qualname)
        elif len({id(each.container) for each in found}) == 1 and found[0].container is not None:
            self._add_container(name, found[0].container, module, qualname)
        else:
            self._import_from_source(name, module, qualname)

    def _add_dotted(self, statements: list[ast.stmt], name: str, code: str) -> None:
        """``import torch`` and ``import torch.utils.checkpoint`` bind one name; take those that the code uses."""
        uses = dotted_uses(code) | {name}
        for statement in statements:
            assert isinstance(statement, ast.Import)
            for alias in statement.names:
                line = f"import {alias.name}"
                if alias.asname is None and alias.name in uses and not (alias.name == name and name in self.bound):
                    self._append_import(line)
        if name not in self.bound:
            if not any(line.startswith(f"import {name}") for line in self.imports):
                first = next(s for s in statements if isinstance(s, ast.Import))
                self._append_import(f"import {first.names[0].name}")
            self.bound.add(name)

    def _append_import(self, line: str) -> None:
        if line not in self.imports:
            self.imports.append(line)

    def _add_plain(self, name: str, found: list[Binding], module: Module, qualname: str) -> None:
        last = found[-1].statement if found else None
        if len(found) == 1 and isinstance(last, ast.Import | ast.ImportFrom):
            self._append_import(ast.unparse(self._moved(last, {name}, module, qualname)))
        elif isinstance(last, ast.Assign | ast.AnnAssign) and _is_about_its_module(last):
            # A logger carries the name of its module: imported it would log under the wrong one.
            self._add_statement(last, module, qualname)
        elif found and isinstance(
            last, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
        ):
            self._import_from_source(name, module, qualname)
        else:
            raise self._refuse(
                qualname,
                f"it uses {name}, a name of {module.path} that can not be imported",
                f"define {name} in this file, or write this block by hand",
            )

    def _import_from_source(self, name: str, module: Module, qualname: str) -> None:
        source = module_name(module.path)
        self._check_allowed(source, name, qualname)
        self._append_import(f"from {relative(source, package_of(self.path))} import {name}")

    def _moved(self, node: ast.stmt, names: set[str], module: Module, qualname: str) -> ast.stmt:
        """An import as it must read in the file that is being filled, with ``names`` alone."""
        assert isinstance(node, ast.Import | ast.ImportFrom)
        aliases = [alias for alias in node.names if (alias.asname or alias.name.split(".")[0]) in names]
        if isinstance(node, ast.Import):
            return ast.Import(names=aliases)
        target = absolute(node, package_of(module.path))
        for alias in aliases:
            self._check_allowed(target, alias.name, qualname)
        if node.level:
            target = relative(target, package_of(self.path))
        level = len(target) - len(target.lstrip("."))
        return ast.ImportFrom(module=target[level:] or None, names=aliases, level=level)

    def _check_allowed(self, module: str, name: str, qualname: str) -> None:
        """The rule of the modular guide: blocks import neither standard pipelines nor another model's blocks."""
        parts = module.split(".")
        mine = package_of(self.path)
        if ".".join(mine[:2]) != _MODULAR:
            return
        standard = parts[:2] == ["diffusers", "pipelines"]
        other = ".".join(parts[:2]) == _MODULAR and len(parts) > 3 and parts[2:3] != mine[2:3]
        if standard or other:
            raise self._refuse(
                qualname,
                f"it needs {name} of {module}, and modular pipelines must not import from there",
                f"copy {name} with a header of its own, or write this block by hand",
            )

    def _add_container(self, name: str, container: ast.stmt, module: Module, qualname: str) -> None:
        """Keep the guard: ``if is_x_available(): import x``, and what its ``else`` binds instead."""
        if not isinstance(container, ast.If | ast.Try):
            raise self._refuse(
                qualname,
                f"it uses {name}, which {module.path} binds in a loop or a with statement",
                f"define {name} in this file, or write this block by hand",
            )
        pruned = self._pruned([container], {name}, module, qualname)[0]
        text = ast.unparse(ast.fix_missing_locations(pruned))
        self._add_needs_of(pruned, text, module, qualname)
        self.statements.append(text)

    def _add_statement(self, statement: ast.stmt, module: Module, qualname: str) -> None:
        text = ast.get_source_segment(module.text, statement) or ast.unparse(statement)
        self._add_needs_of(statement, text, module, qualname)
        self.statements.append(text)

    def _add_needs_of(self, statement: ast.stmt, text: str, module: Module, qualname: str) -> None:
        for needed in sorted(free_names(text) - set(bindings([statement]))):
            self._resolve(needed, text, module, qualname)

    def _pruned(self, body: Iterable[ast.stmt], names: set[str], module: Module, qualname: str) -> list[ast.stmt]:
        """The statements of a guard that bind ``names``, and the guards around them."""
        kept: list[ast.stmt] = []
        for node in body:
            if isinstance(node, ast.If):
                then = self._pruned(node.body, names, module, qualname)
                other = self._pruned(node.orelse, names, module, qualname)
                if then or other:
                    kept.append(ast.If(test=node.test, body=then or [ast.Pass()], orelse=other))
            elif isinstance(node, ast.Try):
                tried = self._pruned(node.body, names, module, qualname)
                handlers = [
                    ast.ExceptHandler(
                        type=each.type,
                        name=each.name,
                        body=self._pruned(each.body, names, module, qualname) or [ast.Pass()],
                    )
                    for each in node.handlers
                ]
                other = self._pruned(node.orelse, names, module, qualname)
                final = self._pruned(node.finalbody, names, module, qualname)
                if tried or other or final or any(not isinstance(each.body[0], ast.Pass) for each in handlers):
                    body_ = tried or [ast.Pass()]
                    kept.append(ast.Try(body=body_, handlers=handlers, orelse=other, finalbody=final))
            elif names & set(bound_by(node)):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    kept.append(self._moved(node, names, module, qualname))
                elif isinstance(node, ast.Assign | ast.AnnAssign):
                    kept.append(node)
                else:
                    raise self._refuse(
                        qualname,
                        f"it uses {', '.join(sorted(names))}, which {module.path} defines only under a condition",
                        "write this block by hand",
                    )
        return kept


def _is_dotted(binding: Binding, name: str) -> bool:
    """Whether the statement is ``import name`` or ``import name.x``, which may stand several times."""
    return (
        binding.container is None
        and isinstance(binding.statement, ast.Import)
        and any(alias.asname is None and alias.name.split(".")[0] == name for alias in binding.statement.names)
    )


def _is_about_its_module(statement: ast.Assign | ast.AnnAssign) -> bool:
    return any(isinstance(node, ast.Name) and node.id in ("__name__", "__file__") for node in ast.walk(statement))
