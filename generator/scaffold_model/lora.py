"""The LoRA mixin of a new model, as ``--lora`` adds it to modules that exist already.

The class line, the docstring and the headers are written here; which methods a transformer-only mixin has, from where
their bodies are copied and how they are decorated is read from the mixins of that shape in the checkout.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections import Counter
from dataclasses import dataclass

from .copied import fill
from .copied.headers import HEADER, Header
from .copied.source import Missing, Module, Source, find, module_of
from .errors import AnchorNotFound, CopySourceError
from .plan import Edit
from .snapshot import Snapshot

LORA_PIPELINE = "src/diffusers/loaders/lora_pipeline.py"
PEFT = "src/diffusers/loaders/peft.py"
STATE = "lora_state_dict"
_SCALES = "_SET_ADAPTER_SCALE_FN_MAPPING"
_MODEL = re.compile(r"^(\w*Transformer\w*Model)->\w*Transformer\w*Model$")


@dataclass(frozen=True)
class Wanted:
    """The mixin that is asked for.

    Attributes:
        name: The model, as the marks call it that are left for the contributor.
        class_prefix: ``Foo`` for ``FooLoraLoaderMixin``.
        model: The class that the layers are loaded into, ``FooTransformer2DModel``.
        title: How prose calls the model.
        single_file: Whether its pipelines load original checkpoints.
    """

    name: str
    class_prefix: str
    model: str
    title: str
    single_file: bool = False


def add_lora_mixin(snapshot: Snapshot, wanted: Wanted) -> list[Edit]:
    """The edits that give the checkout ``{class_prefix}LoraLoaderMixin``; none where it has all of it.

    Args:
        snapshot: The checkout.
        wanted: What is asked for.

    Raises:
        AnchorNotFound: A statement that must be extended is missing.
        CopySourceError: No mixin of this checkout has the shape that is needed.
        BrokenFile: A file does not parse.
    """
    edits = []
    for path, add in ((LORA_PIPELINE, _with_mixin), (PEFT, _with_scale)):
        before = snapshot.read(path)
        if before is None:
            raise AnchorNotFound(path, "the file")
        after = add(before, snapshot, wanted)
        if after != before:
            edits.append(Edit(path, before, after))
    return edits


def _with_mixin(text: str, snapshot: Snapshot, wanted: Wanted) -> str:
    # The module has thousands of lines, so the common case of a second run does not parse it.
    if re.search(rf"^class {wanted.class_prefix}LoraLoaderMixin\b", text, re.MULTILINE):
        return text
    module = module_of(LORA_PIPELINE, text)
    mixins = [
        node
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "LoraBaseMixin" for base in node.bases)
    ]
    if not mixins:
        raise AnchorNotFound(LORA_PIPELINE, "a class that derives from LoraBaseMixin")
    if "TRANSFORMER_NAME" not in module.bindings:
        raise AnchorNotFound(LORA_PIPELINE, "TRANSFORMER_NAME")
    stubs = _compose(module, mixins, snapshot, wanted)
    filled = fill(stubs, LORA_PIPELINE, snapshot, own=(), bound=module.bindings)
    written_out = wanted.single_file and _converts(snapshot, module, mixins)
    filled = _with_mark(filled, wanted.name, written_out=written_out)
    # Behind the last mixin, which is before the deprecated classes that some checkouts keep at the end.
    end = mixins[-1].end_lineno or 0
    lines = text.splitlines(keepends=True)
    newline = "\r\n" if lines[0].endswith("\r\n") else "\n"
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += newline
    addition = f"\n\n{filled}".replace("\n", newline)
    return "".join([*lines[:end], addition, *lines[end:]])


def _converts(snapshot: Snapshot, module: Module, mixins: list[ast.ClassDef]) -> bool:
    """Whether models whose pipelines load original checkpoints read a LoRA their own way, as most of them do.

    Where checkpoints circulate in the original layout, LoRAs do too, and they have to be converted.
    """
    names = {node.name for node in mixins if _is_transformer_only(node)}
    loading: set[str] = set()
    for path in snapshot.walk("src/diffusers/pipelines"):
        text = snapshot.read(path) or ""
        if "FromSingleFileMixin" in text:
            for bases in re.findall(r"^class \w+\(([^)]*\bFromSingleFileMixin\b[^)]*)\)", text, re.MULTILINE):
                loading |= names & set(re.findall(r"\w+", bases))
    readers = [_methods(node).get(STATE) for node in mixins if node.name in loading]
    own = [each for each in readers if each and not HEADER.search(module.lines[each.lineno - 2])]
    return 2 * len(own) > len(readers) > 0


def _with_mark(text: str, name: str, *, written_out: bool) -> str:
    """The mixin with a mark where LoRAs in other layouts than that of diffusers would be converted.

    A method with a header holds nothing of its own, so that its mark stands on top of it. Written out it has no header.
    """
    if written_out:
        text = re.sub(rf" +# Copied from .*\n(?= +def {STATE}\()", "", text)
        found = re.search(r"^( +)out = \(state_dict, metadata\)", text, re.MULTILINE)
        words = f"TODO({name}): convert LoRAs in the layout of the original checkpoints here, if there are any."
    else:
        found = re.search(rf"^( +)(?:@\w+\n +)*# Copied from .*\n +def {STATE}\(", text, re.MULTILINE)
        words = (
            f"TODO({name}): LoRAs in other layouts than that of diffusers are not read; if there are any, drop the header of "
            "this method and convert them in it."
        )
    if found is None:
        return text
    prefix = f"{found[1]}# "
    mark = textwrap.fill(
        words, 119, initial_indent=prefix, subsequent_indent=prefix, break_long_words=False, break_on_hyphens=False
    )
    return f"{text[: found.start()]}{mark}\n{text[found.start() :]}"


def _compose(module: Module, mixins: list[ast.ClassDef], snapshot: Snapshot, wanted: Wanted) -> str:
    """The class with headers and stubs."""
    prose = f"Load LoRA layers into [`{wanted.model}`]. Specific to the {wanted.title} pipelines."
    indent = "    "
    wrapped = textwrap.fill(
        prose, 119, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    parts = [
        f"class {wanted.class_prefix}LoraLoaderMixin(LoraBaseMixin):\n"
        f'{indent}r"""\n{wrapped}\n{indent}"""\n\n'
        f'{indent}_lora_loadable_modules = ["transformer"]\n'
        f"{indent}transformer_name = TRANSFORMER_NAME\n"
    ]
    shaped = [node for node in mixins if _is_transformer_only(node)]
    for name in _usual_methods(shaped):
        header, source = _choose(name, module, shaped, snapshot, wanted.model)
        decorators = "".join(f"{indent}@{ast.unparse(each)}\n" for each in source.node.decorator_list)
        parts.append(f"{decorators}{header.comment(indent)}\n{indent}def {name}(): ...\n")
    return "\n".join(parts)


def _is_transformer_only(node: ast.ClassDef) -> bool:
    return any(
        isinstance(statement, ast.Assign) and ast.unparse(statement) == "_lora_loadable_modules = ['transformer']"
        for statement in node.body
    )


def _methods(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}


def _usual_methods(shaped: list[ast.ClassDef]) -> list[str]:
    """What more than half of the mixins of this shape define, in the order of the youngest that has all of it."""
    counted = Counter(name for node in shaped for name in _methods(node))
    usual = {name for name, count in counted.items() if 2 * count > len(shaped)}
    for node in reversed(shaped):
        names = [name for name in _methods(node) if name in usual]
        if len(names) == len(usual) > 0:
            return names
    raise CopySourceError(
        "no mixin for a lone transformer was found to copy from",
        path=LORA_PIPELINE,
        hint="run without --lora, and write the mixin by hand",
    )


@dataclass(frozen=True)
class _Vote:
    header: Header
    source: Source


def _choose(
    name: str, module: Module, shaped: list[ast.ClassDef], snapshot: Snapshot, model: str
) -> tuple[Header, Source]:
    """The source from which most mixins of this shape copy a method; the younger one where two are level.

    A source that converts foreign checkpoints serves one model only. Where no mixin copies the method, one that
    defines it plainly is the source.
    """
    copied: list[_Vote] = []
    plain: list[_Vote] = []
    for node in shaped:
        method = _methods(node).get(name)
        if method is None:
            continue
        found = HEADER.search(module.lines[method.lineno - 2])
        header = Header(found.group(2), found.group(3).strip()) if found else _header_of(node.name, name)
        try:
            vote = _Vote(header, find(header.source, snapshot))
        except Missing:
            continue
        if "_convert_" not in vote.source.rest:
            (copied if found else plain).append(vote)
    votes = copied or plain
    if not votes:
        raise CopySourceError(
            f"no mixin for a lone transformer has a {name} that could be copied",
            path=LORA_PIPELINE,
            hint="run without --lora, and write the mixin by hand",
        )
    counted = Counter(vote.header.source for vote in votes)
    best = max(reversed(votes), key=lambda vote: counted[vote.header.source])
    return Header(best.header.source, _renamed(best.header.renames, model)), best.source


def _renamed(renames: str, model: str) -> str:
    """The renames of a header for another model: those of components stay, that of the model has a new end."""
    kept = []
    for part in renames.removeprefix("with").split(","):
        found = _MODEL.match(part.strip())
        if found:
            kept.append(f"{found.group(1)}->{model}")
        elif part.strip() and not any(letter.isupper() for letter in part):
            kept.append(part.strip())
    return f"with {', '.join(kept)}" if kept else ""


def _header_of(owner: str, method: str) -> Header:
    return Header(f"loaders.lora_pipeline.{owner}.{method}", "")


def _with_scale(text: str, snapshot: Snapshot, wanted: Wanted) -> str:
    """The table of adapter scales: older checkouts look every class up in it, newer ones have a default."""
    module = module_of(PEFT, text)
    bound = module.bindings.get(_SCALES)
    if bound is None:
        return text
    value = getattr(bound[-1].statement, "value", None)
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("defaultdict"):
        return text
    if not isinstance(value, ast.Dict) or not value.values:
        raise AnchorNotFound(PEFT, f"{_SCALES} as a dictionary")
    keys = [key.value for key in value.keys if isinstance(key, ast.Constant)]
    if wanted.model in keys:
        return text
    lines = text.splitlines(keepends=True)
    index = value.values[-1].end_lineno or 0
    last = lines[index - 1]
    # A dictionary on several lines ends every row with a comma in this code base; anything else is not understood.
    if not last.rstrip().endswith(",") or value.end_lineno == index:
        raise AnchorNotFound(PEFT, f"{_SCALES} with one row a line")
    newline = "\r\n" if last.endswith("\r\n") else "\n"
    indent = last[: len(last) - len(last.lstrip())]
    lines.insert(index, f'{indent}"{wanted.model}": lambda model_cls, weights: weights,{newline}')
    return "".join(lines)
