"""Loading of a new model's original checkpoints, as ``--single-file`` adds it to ``loaders/single_file_utils.py``.

Which original weights become which of the model is said once, in the table of the scaffold's conversion script: the
conversion function holds that table and the functions that it names, and the key by which a checkpoint is told is one
of the table's. Every part goes behind those of the families that are there, so that no checkpoint of theirs is taken
for the new model's.
"""

from __future__ import annotations

import ast
import re
import textwrap

from .code import branches, pairs
from .code.syntax import last_line, parse
from .code.text import get_lines, insert_before, remove_lines
from .errors import AnchorNotFound, BadInput
from .formatting import format_python, wrap_todos
from .plan import Edit
from .snapshot import Snapshot
from .sound import check_text
from .spec import ModelSpec

UTILS = "src/diffusers/loaders/single_file_utils.py"
KEYS = "CHECKPOINT_KEY_NAMES"
PATHS = "DIFFUSERS_DEFAULT_PIPELINE_PATHS"
DETECTION = "infer_diffusers_model_type"
TABLE = "TRANSFORMER_KEYS"
#: What checkpoints that hold a whole pipeline put before the names of the transformer's weights.
PREFIX = "model.diffusion_model."
_NUMBER = r"(\d+)"

_CONVERSION = """\
def {function}(checkpoint, **kwargs):
{functions}
    # TODO({name}): describe the original checkpoint, as in {script}.
    {table_name} = {table}

    converted_state_dict = {{}}

    for original_key in list(checkpoint.keys()):
        for pattern, target in {table_name}.items():
            match = re.fullmatch(pattern, original_key.removeprefix("{prefix}"))
            if match is not None:
                break
        else:
            # The weights of other components, which load them from the same checkpoint.
            continue

        tensor = checkpoint.pop(original_key)
        if isinstance(target, str):
            converted_state_dict[target.format(*match.groups())] = tensor
        else:
            function, keys = target
            # The parts of a split tensor share its memory, which safetensors refuses to save.
            tensors = [part.clone() for part in function(tensor)]
            converted_state_dict.update(zip((key.format(*match.groups()) for key in keys), tensors))

    return converted_state_dict
"""


def conversion_name(name: str) -> str:
    """The function that converts an original checkpoint of the model ``name``."""
    return f"convert_{name}_transformer_checkpoint_to_diffusers"


def add_single_file(snapshot: Snapshot, spec: ModelSpec, ruff: str | None) -> list[Edit]:
    """The edit that makes original checkpoints of the model known; none where they are.

    Args:
        snapshot: The checkout, with the scaffold's conversion script in it.
        spec: The answers, with the repository that holds the configuration of the checkpoints.
        ruff: The formatter, or None for our own.

    Raises:
        AnchorNotFound: A statement that must be extended, or the table of the conversion script, is missing.
        BadInput: Another family has the model's key, or the keys of its checkpoints.
        BrokenFile: A file does not parse.
    """
    before = _read(snapshot, UTILS)
    text = before.replace("\r\n", "\n")
    if _is_complete(text, spec):
        return []
    script = f"scripts/convert_{spec.name}_to_diffusers.py"
    source = _read(snapshot, script).replace("\r\n", "\n")
    table = _table(source, script)
    original = _original_key(table, script)
    if _function(text, conversion_name(spec.name)) is None:
        _refuse_taken(text, spec, original)
        text = f"{text.rstrip()}\n\n\n{_conversion(source, table, spec, script, ruff)}"
    text = _with_path(_with_key(_with_branch(text, spec), spec, original), spec)
    return [Edit(UTILS, before, text.replace("\n", "\r\n") if "\r\n" in before else text)]


def remove_single_file(text: str, spec: ModelSpec) -> str:
    """``single_file_utils.py`` without all that `add_single_file` put there."""
    function = _function(text, conversion_name(spec.name))
    if function is not None:
        text = remove_lines(text, function.lineno - 2, last_line(function))
    # The contributor may have made the condition finer.
    for branch in branches.find(text, DETECTION):
        if _key_of(spec) in branch.test:
            text = branches.remove(text, DETECTION, branch.test)
            break
    text = pairs.remove(text, PATHS, spec.key)
    entry = _pair(text, KEYS, spec.key)
    if entry is None:
        return text
    first = entry.first
    while get_lines(text, first - 1, first - 1).lstrip().startswith("#"):
        first -= 1
    return remove_lines(text, first, entry.last)


def _read(snapshot: Snapshot, path: str) -> str:
    text = snapshot.read(path)
    if text is None:
        raise AnchorNotFound(path, "the file")
    check_text(path, text)
    return text


def _is_complete(text: str, spec: ModelSpec) -> bool:
    return (
        _function(text, conversion_name(spec.name)) is not None
        and _is_detected(text, spec)
        and all(_pair(text, mapping, spec.key) for mapping in (KEYS, PATHS))
    )


def _is_detected(text: str, spec: ModelSpec) -> bool:
    # The contributor may have made the condition finer.
    return any(_key_of(spec) in branch.test for branch in branches.find(text, DETECTION))


def _key_of(spec: ModelSpec) -> str:
    """The model's original key, as a condition of the detection names it."""
    return f"{KEYS}['{spec.key}']"


def _refuse_taken(text: str, spec: ModelSpec, original: str) -> None:
    """A family that is there already must neither be overwritten nor be taken for the new model."""
    for mapping in (KEYS, PATHS):
        if _pair(text, mapping, spec.key):
            raise BadInput(f"{mapping} has a {spec.key} already", path=UTILS, hint="choose another --name")
    found = pairs.find(text, KEYS)
    for pair in found.pairs if found else ():
        if original in {node.value for node in ast.walk(pair.value) if isinstance(node, ast.Constant)}:
            raise BadInput(
                f"{original} tells the checkpoints of {pair.key}, for which those of {spec.name} would be taken",
                path=UTILS,
                hint=f"give {pair.key} a key in {KEYS} that only its own original checkpoints have",
            )


def _with_branch(text: str, spec: ModelSpec) -> str:
    if _is_detected(text, spec):
        return text
    edited = branches.insert(text, DETECTION, _condition(spec), f'model_type = "{spec.key}"')
    if edited is None:
        raise AnchorNotFound(UTILS, f"an if with an else in {DETECTION}")
    return edited


def _condition(spec: ModelSpec) -> str:
    return f'any(key in checkpoint for key in {KEYS}["{spec.key}"])'


def _with_key(text: str, spec: ModelSpec, original: str) -> str:
    if _pair(text, KEYS, spec.key):
        return text
    names = [f'"{PREFIX}{original}"', f'"{original}"']
    value = f"[{', '.join(names)}]"
    if len(f'    "{spec.key}": {value},') > spec.line_length:
        value = "".join(["[\n", *(f"        {name},\n" for name in names), "    ]"])
    edited = _with_pair(text, KEYS, spec.key, value)
    entry = _pair(edited, KEYS, spec.key)
    assert entry is not None
    todo = f"    # TODO({spec.name}): name a key that no original checkpoint of another model has."
    return insert_before(edited, entry.first, wrap_todos(todo, spec.name, spec.line_length))


def _with_path(text: str, spec: ModelSpec) -> str:
    if _pair(text, PATHS, spec.key):
        return text
    item = f'"pretrained_model_name_or_path": "{spec.hub_repo}"'
    value = f"{{{item}}}"
    if len(f'    "{spec.key}": {value},') > spec.line_length:
        value = f"{{\n        {item},\n    }}"
    return _with_pair(text, PATHS, spec.key, value)


def _with_pair(text: str, mapping: str, key: str, value: str) -> str:
    edited = pairs.insert(text, mapping, key, value, len)
    if edited is None:
        raise AnchorNotFound(UTILS, mapping)
    return edited


def _pair(text: str, mapping: str, key: str) -> pairs.Pair | None:
    found = pairs.find(text, mapping)
    return next((pair for pair in found.pairs if pair.key == key), None) if found else None


def _function(text: str, name: str) -> ast.FunctionDef | None:
    functions = (node for node in parse(text).body if isinstance(node, ast.FunctionDef))
    return next((node for node in functions if node.name == name), None)


def _table(source: str, script: str) -> ast.Dict:
    """The table of the conversion script: pattern of an original key -> keys of the model."""
    for statement in parse(source).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Dict) and any(isinstance(each, ast.Name) and each.id == TABLE for each in targets):
            return value
    raise AnchorNotFound(script, TABLE)


def _original_key(table: ast.Dict, script: str) -> str:
    """A weight of the first block in the original layout, or the first weight of a model without blocks."""
    patterns = [key.value for key in table.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    patterns.sort(key=lambda pattern: _NUMBER not in pattern)
    for pattern in patterns:
        example = pattern.replace(_NUMBER, "0").replace(r"(\w+)", "weight").replace(r"\.", ".")
        if re.fullmatch(pattern, example):
            return example
    raise AnchorNotFound(script, f"a plain key in {TABLE}")


def _conversion(source: str, table: ast.Dict, spec: ModelSpec, script: str, ruff: str | None) -> str:
    """The conversion function, formatted."""
    named = {node.id for node in ast.walk(table) if isinstance(node, ast.Name)}
    functions = [node for node in parse(source).body if isinstance(node, ast.FunctionDef) and node.name in named]
    text = _CONVERSION.format(
        function=conversion_name(spec.name),
        functions="\n".join(textwrap.indent(_without_hints(source, node), "    ") for node in functions),
        name=spec.name,
        script=f"`{script}`",
        table_name=f"{TABLE}_RENAME_DICT",
        table=textwrap.indent(_lines(source, table)[table.col_offset :], "    ").strip(),
        prefix=PREFIX,
    )
    text = wrap_todos(text, spec.name, spec.line_length)
    return format_python({UTILS: text}, line_length=spec.line_length, ruff=ruff)[UTILS]


def _lines(source: str, node: ast.FunctionDef | ast.Dict) -> str:
    """The source of a node, comments included."""
    return get_lines(source, node.lineno, last_line(node)) + "\n"


def _without_hints(source: str, node: ast.FunctionDef) -> str:
    """A function as the others of the module are written: without type hints, whose names are not imported there."""
    text = _lines(source, node).encode()
    starts = [0]
    for line in text.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)

    def end(hint: ast.expr) -> int:
        assert hint.end_col_offset is not None
        return starts[last_line(hint) - node.lineno] + hint.end_col_offset

    spans = [
        (starts[each.lineno - node.lineno] + each.col_offset + len(each.arg.encode()), end(each.annotation))
        for each in ast.walk(node.args)
        if isinstance(each, ast.arg) and each.annotation is not None
    ]
    if node.returns is not None:
        arrow = text.rindex(b"->", 0, starts[node.returns.lineno - node.lineno] + node.returns.col_offset)
        spans.append((arrow, end(node.returns)))
    for first, last in sorted(spans, reverse=True):
        text = text[:first] + text[last:]
    return text.decode()
