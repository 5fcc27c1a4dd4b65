"""Generated tests in the style of an older checkout.

Today's tests are a class of settings and dummy inputs that derives from a base configuration, and a class for each concern
that derives from the settings and from a mixin. An older style has one mixin for all concerns, mostly of
`unittest.TestCase` classes, which know neither fixtures nor parameters. The settings, the dummy inputs and the model's own
tests are the same in every style; what differs is data (`Style`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import libcst as cst
import libcst.matchers as m

from .nodes import Statement, code_of, expression, spaced, statements, unspaced


@dataclass(frozen=True)
class Style:
    """How an older checkout tests one area.

    Attributes:
        config: The base class of today's settings.
        module: Where the older mixins are, as the test imports it.
        mixins: The older mixins; the first one is the main one. Classes of the others join it.
        apart: Those of `mixins` whose classes stay classes of their own.
        renamed: Settings that have another name.
        settings: Settings, methods and properties that are added to the class of settings.
        helpers: Those that are added only where a test asks for one.
        unittest: Whether test classes are `unittest.TestCase` classes; their names then end so.
        ending: How the name of the main class ends.
        fixtures: What stands for a fixture that a test asks for.
        inputs: What stands for `self.get_dummy_inputs()` in the model's own tests.
        output: The name of the output that the older mixins are made for.
        other_output: What settings with another output add; where nothing helps, the model's own tests stand alone.
    """

    config: str
    module: str
    mixins: tuple[str, ...]
    apart: tuple[str, ...] = ()
    renamed: Mapping[str, str | None] = field(default_factory=dict)
    settings: str = ""
    helpers: str = ""
    unittest: bool = False
    ending: str = ""
    fixtures: Mapping[str, str] = field(default_factory=dict)
    inputs: str | None = None
    output: str | None = None
    other_output: str = ""


def restyled(text: str, style: Style) -> str:
    """A test file in an older style; a file that has no class of settings comes back as it is."""
    module = cst.parse_module(text)
    classes = [one for one in module.body if isinstance(one, cst.ClassDef)]
    configs = {one.name.value for one in classes if style.config in _bases(one)}
    if not configs:
        return text
    if any(_has_other_output(one, style) for one in classes if one.name.value in configs) and not style.other_output:
        style = replace(style, mixins=())
        module = module.visit(_WithoutExtensions())
        classes = [one for one in module.body if isinstance(one, cst.ClassDef)]
    own = {one.name.value for one in classes if _is_own_mixin(one, configs)}
    used = {code_of(cst.ensure_type(one, cst.Attribute).attr) for one in m.findall(module, _OF_SELF)}
    used |= {code_of(cst.ensure_type(one, cst.Param).name) for one in m.findall(module, m.Param())}
    body: list[cst.BaseStatement] = []
    main: dict[str, int] = {}
    for statement in module.body:
        if not isinstance(statement, cst.ClassDef):
            body.append(statement)
            continue
        bases = _bases(statement)
        owner = next((base for base in bases if base in configs), None)
        if statement.name.value in configs:
            body.append(_settings(statement, style, used))
        elif owner is None:
            body.append(_own_mixin(statement, style) if statement.name.value in own else statement)
        else:
            known = [base for base in bases if base in {*style.mixins, *own}]
            if owner not in main or set(known) & {*style.apart}:
                main.setdefault(owner, len(body))
                body.append(_test_class(statement, owner, known, style))
            else:
                body[main[owner]] = _joined(body[main[owner]], statement, known, style)
    return _unused_constants(_imports(module.with_changes(body=body), style)).code


class _WithoutExtensions(cst.CSTTransformer):
    """Tests that stand alone have no inherited test to extend."""

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef | cst.RemovalSentinel:
        inherited = m.Call(func=m.Attribute(m.Call(func=m.Name("super")), m.Name(original_node.name.value)))
        return cst.RemoveFromParent() if m.findall(original_node, inherited) else updated_node


_OF_SELF = m.Attribute(m.Name("self"))


def _has_other_output(node: cst.ClassDef, style: Style) -> bool:
    """Whether settings name an output that the older mixins are not made for."""
    for statement in node.body.body:
        if style.output and _assigned(statement) == "output_name":
            return not m.findall(statement, m.SimpleString(f'"{style.output}"'))
    return False


def _is_own_mixin(node: cst.ClassDef, configs: Collection[str]) -> bool:
    """Whether a class holds tests that several classes of the model share."""
    bases = _bases(node)
    return not {node.name.value, *bases} & {*configs} and any(base.endswith("TesterMixin") for base in bases)


def _own_mixin(node: cst.ClassDef, style: Style) -> cst.ClassDef:
    body = [_own(one, style) for one in node.body.body]
    bases = [base for base in _bases(node) if base in style.mixins]
    return _with_bases(node.with_changes(body=node.body.with_changes(body=body)), bases)


def _bases(node: cst.ClassDef) -> list[str]:
    return [code_of(argument.value) for argument in node.bases]


def _with_bases(node: cst.ClassDef, bases: list[str]) -> cst.ClassDef:
    lpar = cst.LeftParen() if bases else cst.MaybeSentinel.DEFAULT
    rpar = cst.RightParen() if bases else cst.MaybeSentinel.DEFAULT
    return node.with_changes(bases=[cst.Arg(expression(base)) for base in bases], lpar=lpar, rpar=rpar)


def _settings(node: cst.ClassDef, style: Style, used: Collection[str]) -> cst.ClassDef:
    """The class of settings as a plain class. A setting that the older mixin does not know stays where a test asks for it."""
    kept: list[Statement] = []
    for statement in node.body.body:
        name = _assigned(statement)
        if name is None or name not in style.renamed or (style.renamed[name] is None and name in used):
            kept.append(statement)
        elif (new := style.renamed[name]) is not None:
            kept.append(_renamed(statement, new))
    known = {_defined(statement) for statement in kept}
    added = [one for one in _parsed(style.settings) if _defined(one) not in known]
    added += [one for one in _parsed(style.helpers) if _defined(one) in used]
    if _has_other_output(node, style):
        added += _parsed(style.other_output)
    plain = [one for one in added if isinstance(one, cst.SimpleStatementLine)]
    # Settings go below those that are there, methods to the end.
    end = next((index for index, one in enumerate(kept) if isinstance(one, cst.FunctionDef)), len(kept))
    kept[end:] = [*(unspaced(one) for one in plain), *(spaced(one) for one in kept[end:])]
    kept += [spaced(one) for one in added if isinstance(one, cst.FunctionDef)]
    kept[0] = unspaced(kept[0])
    body = [_inputs(one, style) if _defined(one) == "get_dummy_inputs" else one for one in kept]
    return _with_bases(node.with_changes(body=node.body.with_changes(body=body)), [])


def _parsed(code: str) -> list[Statement]:
    return statements(code) if code else []


def _assigned(statement: Statement) -> str | None:
    """The name that a statement of a class assigns, or that a property defines."""
    if m.matches(statement, m.SimpleStatementLine(body=[m.Assign(targets=[m.AssignTarget(m.Name())])])):
        line = cst.ensure_type(statement, cst.SimpleStatementLine)
        target = cst.ensure_type(line.body[0], cst.Assign).targets[0].target
        return cst.ensure_type(target, cst.Name).value
    if m.matches(statement, m.FunctionDef(decorators=[m.Decorator(m.Name("property"))])):
        return cst.ensure_type(statement, cst.FunctionDef).name.value
    return None


def _defined(statement: Statement) -> str | None:
    return statement.name.value if isinstance(statement, cst.FunctionDef) else _assigned(statement)


def _renamed(statement: Statement, name: str) -> Statement:
    if isinstance(statement, cst.FunctionDef):
        return statement.with_changes(name=cst.Name(name))
    line = cst.ensure_type(statement, cst.SimpleStatementLine)
    assign = cst.ensure_type(line.body[0], cst.Assign)
    return line.with_changes(body=[assign.with_changes(targets=[cst.AssignTarget(cst.Name(name))])])


def _inputs(statement: Statement, style: Style) -> Statement:
    """`get_dummy_inputs` with the arguments and the kind of output that the older mixin asks for."""
    if style.inputs is None:
        return statement
    function = cst.ensure_type(statement, cst.FunctionDef).visit(_Inputs())
    parameters = [cst.Param(cst.Name("self")), cst.Param(cst.Name("device"))]
    parameters.append(cst.Param(cst.Name("seed"), default=cst.Integer("0")))
    return cst.ensure_type(function, cst.FunctionDef).with_changes(params=cst.Parameters(parameters))


class _Inputs(m.MatcherDecoratableTransformer):
    @m.leave(m.Call(func=m.Attribute(m.Name("self"), m.Name("get_generator"))))
    def _generator(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        return updated_node.with_changes(args=[cst.Arg(cst.Name("seed"))])

    @m.leave(m.DictElement(key=m.SimpleString('"output_type"')))
    def _output_type(self, original_node: cst.DictElement, updated_node: cst.DictElement) -> cst.DictElement:
        return updated_node.with_changes(value=cst.SimpleString('"np"'))

    @m.leave(m.Name("torch_device"))
    def _device(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        return cst.Name("device")


def _test_class(node: cst.ClassDef, owner: str, mixins: list[str], style: Style) -> cst.ClassDef:
    name = node.name.value
    if style.unittest:
        apart = set(mixins) & {*style.apart}
        name = name.removeprefix("Test") + ("Tests" if apart else style.ending)
    bases = [owner, *mixins, *(["unittest.TestCase"] if style.unittest else [])]
    body = [_own(one, style) for one in node.body.body]
    return _with_bases(node.with_changes(name=cst.Name(name), body=node.body.with_changes(body=body)), bases)


def _joined(main: cst.BaseStatement, node: cst.ClassDef, mixins: list[str], style: Style) -> cst.BaseStatement:
    """The main class with the tests of another, and with its mixins."""
    target = cst.ensure_type(main, cst.ClassDef)
    own = [_own(one, style) for one in node.body.body if isinstance(one, cst.FunctionDef)]
    before = [one for one in target.body.body if not m.matches(one, m.SimpleStatementLine(body=[m.Pass()]))]
    body = [*before, *(spaced(one) for one in own)] or [*target.body.body]
    if not before and own:
        body[0] = unspaced(own[0])
    bases = _bases(target)
    place = len(bases) - style.unittest
    bases[place:place] = [mixin for mixin in mixins if mixin not in bases]
    return _with_bases(target.with_changes(body=target.body.with_changes(body=body)), bases)


def _own(statement: Statement, style: Style) -> Statement:
    """A test of the model's own, without what only pytest's classes know."""
    if not isinstance(statement, cst.FunctionDef):
        return statement
    function = statement
    if style.inputs is not None:
        function = cst.ensure_type(function.visit(_Calls(style.inputs)), cst.FunctionDef)
    if not style.unittest:
        return function
    parametrized = [one for one in function.decorators if _is_parametrize(one)]
    loops = [_loop(one) for one in parametrized]
    names = {name for names, _ in loops for name in names}
    parameters = [one for one in function.params.params if one.name.value not in names]
    wanted = [one.name.value for one in parameters if one.name.value in style.fixtures]
    parameters = [one for one in parameters if one.name.value not in wanted]
    body: list[Statement] = [*function.body.body]
    for names_of_loop, values in loops:
        body = [_nested(names_of_loop, values, body)]
    if "tmp_path" in [one.name.value for one in parameters]:
        parameters = [one for one in parameters if one.name.value != "tmp_path"]
        body = [_in_temporary_folder(body)]
    body[:0] = [cst.parse_statement(f"{name} = {style.fixtures[name]}\n") for name in wanted]
    return function.with_changes(
        decorators=[one for one in function.decorators if one not in parametrized],
        params=function.params.with_changes(params=_last(parameters)),
        body=function.body.with_changes(body=body),
    )


def _last(parameters: list[cst.Param]) -> list[cst.Param]:
    return [*parameters[:-1], *(one.with_changes(comma=cst.MaybeSentinel.DEFAULT) for one in parameters[-1:])]


def _is_parametrize(decorator: cst.Decorator) -> bool:
    return code_of(decorator.decorator).startswith("pytest.mark.parametrize(")


def _loop(decorator: cst.Decorator) -> tuple[list[str], cst.BaseExpression]:
    call = cst.ensure_type(decorator.decorator, cst.Call)
    names = call.args[0].value
    if isinstance(names, cst.SimpleString):
        listed = [name.strip() for name in str(names.evaluated_value).split(",")]
    else:
        found = cst.ensure_type(names, cst.Tuple)
        listed = [str(cst.ensure_type(one.value, cst.SimpleString).evaluated_value) for one in found.elements]
    return listed, call.args[1].value


def _nested(names: list[str], values: cst.BaseExpression, body: list[Statement]) -> cst.For:
    arguments = ", ".join(f"{name}={name}" for name in names)
    loop = cst.ensure_type(
        cst.parse_statement(f"for {', '.join(names)} in []:\n    with self.subTest({arguments}):\n        pass\n"),
        cst.For,
    )
    inner = cst.ensure_type(loop.body.body[0], cst.With)
    inner = inner.with_changes(body=inner.body.with_changes(body=body))
    return loop.with_changes(iter=values, body=loop.body.with_changes(body=[inner]))


def _in_temporary_folder(body: list[Statement]) -> cst.With:
    inside = cst.parse_statement("with tempfile.TemporaryDirectory() as folder:\n    tmp_path = Path(folder)\n")
    folder = cst.ensure_type(inside, cst.With)
    return folder.with_changes(body=folder.body.with_changes(body=[*folder.body.body, *body]))


class _Calls(m.MatcherDecoratableTransformer):
    def __init__(self, inputs: str) -> None:
        super().__init__()
        self._with = expression(inputs)

    @m.leave(m.Call(func=m.Attribute(m.Name("self"), m.Name("get_dummy_inputs")), args=[]))
    def _inputs(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        return self._with


def _imports(module: cst.Module, style: Style) -> cst.Module:
    """The mixins from where they are; what is imported and not used any more is dropped by the formatter."""
    body: list[cst.BaseStatement] = []
    for statement in module.body:
        if not m.matches(statement, _TESTING_UTILS):
            body.append(statement)
            continue
        mixins = [mixin for mixin in style.mixins if m.findall(statement, m.Name(mixin))]
        if mixins:
            line = cst.parse_statement(f"from {style.module} import {', '.join(mixins)}\n")
            above = cst.ensure_type(statement, cst.SimpleStatementLine).leading_lines
            body.append(line.with_changes(leading_lines=above))
    needed = ["import unittest\n"] if style.unittest else []
    if m.findall(module, m.Name("tempfile")):
        needed += ["import tempfile\n", "from pathlib import Path\n"]
    place = next(index for index, one in enumerate(body) if m.matches(one, m.SimpleStatementLine(body=[m.Import()])))
    body[place:place] = [cst.parse_statement(line) for line in needed]
    return module.with_changes(body=body)


_TESTING_UTILS = m.SimpleStatementLine(
    body=[m.ImportFrom(module=m.Name("testing_utils"), relative=[m.Dot(), m.Dot()])]
)


def _unused_constants(module: cst.Module) -> cst.Module:
    """A module without the constants that only a dropped setting had used."""
    names = [name for one in module.body if (name := _assigned(one)) and name.isupper()]
    unused = {name for name in names if len(m.findall(module, m.Name(name))) == 1}
    return module.with_changes(body=[one for one in module.body if _assigned(one) not in unused])
