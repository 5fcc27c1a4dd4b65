"""`# Copied from` blocks: small fixtures of our own, then the checkout's own blocks as the oracle."""

from __future__ import annotations

import ast
import importlib.util
import random
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from scaffold_model.copied import fill, unfilled
from scaffold_model.copied.headers import HEADER, Header
from scaffold_model.copied.names import free_names
from scaffold_model.errors import BrokenFile, CopySourceError
from scaffold_model.formatting import find_ruff, format_python
from scaffold_model.snapshot import Snapshot

SOURCE_PATH = "src/diffusers/pipelines/bar/pipeline_bar.py"
SOURCE = '''\
import inspect
import math as m
from typing import Callable, Literal

import torch
import torch.utils.checkpoint

from ...models.attention import Mixer
from ...utils import is_ftfy_available, is_torch_xla_available, logging
from ..helpers import randn
from .pipeline_output import BarOutput


if is_torch_xla_available():
    import torch_xla.core.xla_model as xm

    XLA_AVAILABLE = True
else:
    XLA_AVAILABLE = False

if is_ftfy_available():
    import ftfy

try:
    import fancy
except ImportError:
    fancy = None

logger = logging.get_logger(__name__)

LIMIT = 3
for NUMBER in range(2):
    pass


def plain(a, b=1):
    return a + b


def wide(
    sample: torch.Tensor,
    limit: int = LIMIT,
    hook: Callable | None = None,
) -> "BarOutput":
    """Scale the sample, with a Bar.

    It has two paragraphs.
    """
    total = sum(m.sqrt(value) for value in sample)

    return BarOutput(total)
    # a closing remark belongs to the block


def guarded(x):
    if XLA_AVAILABLE:
        xm.mark_step()
    return x


def cleaned(text):
    return ftfy.fix(text)


def tried(text):
    return fancy.fix(text)


def logged(text):
    logger.warning(text)


def looped():
    return NUMBER


def kinds(kind: Literal["Missing", "Other"], other: "Mixer") -> "list[Callable]":
    return kind


def local(x):
    from .pipeline_output import BarOutput

    return BarOutput(x)


def saved(f):
    return torch.utils.checkpoint.checkpoint(f)


def lost():
    return nowhere


def drawn(shape):
    return randn(shape), plain(1)


class Base:
    pass


# Copied from diffusers.pipelines.baz.Bar
class Bar(Base):
    # Copied from diffusers.pipelines.baz.Bar.__init__
    def __init__(self):
        self.bar = "BAR"

    @staticmethod
    def fixed(a):
        return a

    @torch.no_grad()
    def __call__(
        self,
        a: int,
    ):
        return self.plain(a)

    def plain(self, a):
        return plain(a)
'''
PATH = "src/diffusers/pipelines/foo/pipeline_foo.py"
SNAPSHOT = Snapshot(None, {SOURCE_PATH: SOURCE})


def filled(text: str, path: str = PATH, own: tuple[str, ...] = ()) -> str:
    """Filled twice; the second time nothing may change."""
    result = fill(text, path, SNAPSHOT, own=own)
    ast.parse(result)
    assert fill(result, path, SNAPSHOT, own=own) == result
    assert unfilled(result) == []
    return result


def stub(name: str, target: str = "", renames: str = "", kind: str = "def") -> str:
    parameters = "()" if kind == "def" else ""
    header = f"# Copied from diffusers.pipelines.bar.pipeline_bar.{name}{renames}"
    return f"{header}\n{kind} {target or name}{parameters}: ...\n"


def refusal(text: str, path: str = PATH, own: tuple[str, ...] = ()) -> CopySourceError:
    with pytest.raises(CopySourceError) as caught:
        fill(text, path, SNAPSHOT, own=own)
    assert caught.value.path == path
    assert caught.value.hint
    assert "\n" not in caught.value.line
    return caught.value


def test_a_function_is_filled_and_the_rest_is_kept_byte_for_byte() -> None:
    before = f'"""Doc."""\n\nimport  os   # kept\n\n\n{stub("plain")}\n\nx = os  # ü\n'
    assert filled(before) == (
        '"""Doc."""\n\nimport  os   # kept\n\n\n'
        "# Copied from diffusers.pipelines.bar.pipeline_bar.plain\n"
        "def plain(a, b=1):\n    return a + b\n\n\nx = os  # ü\n"
    )


def test_a_long_signature_a_docstring_and_a_closing_comment_come_along() -> None:
    done = filled(f"# Licence.\n\n{stub('wide')}")
    assert done == (
        "# Licence.\n"
        "from ..bar.pipeline_output import BarOutput\n"
        "from typing import Callable\n"
        "from ..bar.pipeline_bar import LIMIT\n"
        "import math as m\n"
        "import torch\n"
        "\n"
        "# Copied from diffusers.pipelines.bar.pipeline_bar.wide\n"
        "def wide(\n    sample: torch.Tensor,\n    limit: int = LIMIT,\n    hook: Callable | None = None,\n"
        ') -> "BarOutput":\n    """Scale the sample, with a Bar.\n\n    It has two paragraphs.\n    """\n'
        "    total = sum(m.sqrt(value) for value in sample)\n\n    return BarOutput(total)\n"
        "    # a closing remark belongs to the block\n"
    )


def test_renames_are_applied_and_the_stub_keeps_its_name() -> None:
    done = filled(
        "from ..foo_output import FooOutput\n" + stub("wide", "narrow", " with BarOutput->FooOutput, sample->latent")
    )
    assert "def narrow(\n    latent: torch.Tensor," in done
    assert "Scale the latent, with a Bar." in done
    assert "return FooOutput(total)" in done
    assert "BarOutput\n" not in done


@pytest.mark.parametrize(
    ("renames", "code", "expected"),
    [
        ("", "Bar", "Bar"),
        ("with Bar->Foo", "Bar.BarX bar BAR", "Foo.FooX bar BAR"),
        ("with Bar->Foo all-casing", "Bar bar BAR", "Foo foo FOO"),
        ("with Bar->Foo,Foo->Quux", "Bar", "Quux"),
        ("with a->b, b->a", "ab", "aa"),
        ("with Bar -> Foo", "Bar", "Bar"),
        ("with self->components", "self.x, myself", "components.x, mycomponents"),
        # The quirk of check_copies.py: the word is removed wherever it stands.
        ("with run_without_x->go", "run_without_x run_out_x", "run_without_x go"),
        ("and a remark", "remark", "remark"),
    ],
)
def test_the_grammar_of_renames(renames: str, code: str, expected: str) -> None:
    assert Header("a.b", renames).rename(code) == expected


def test_methods_keep_their_decorators_and_nested_headers_go() -> None:
    text = (
        "import torch\n\n\nclass FooPipeline:\n    @property\n    def x(self):\n        return 1\n\n"
        "    @staticmethod\n    # Copied from diffusers.pipelines.bar.pipeline_bar.Bar.fixed\n    def fixed(): ...\n\n"
        "    @torch.no_grad()\n    # Copied from diffusers.pipelines.bar.pipeline_bar.Bar.__call__\n"
        "    def __call__(): ...\n"
    )
    assert filled(text) == text.replace("def fixed(): ...", "def fixed(a):\n        return a").replace(
        "def __call__(): ...", "def __call__(\n        self,\n        a: int,\n    ):\n        return self.plain(a)"
    )


def test_a_method_does_not_hide_a_function_of_its_name() -> None:
    text = "class Foo:\n    # Copied from diffusers.pipelines.bar.pipeline_bar.Bar.plain\n    def plain(): ...\n"
    assert filled(text).startswith("from ..bar.pipeline_bar import plain\nclass Foo:\n")


def test_a_class_is_filled_with_its_bases() -> None:
    done = filled("import torch\n" + stub("Bar", "Foo", " with Bar->Foo all-casing", kind="class"))
    assert 'class Foo(Base):\n    def __init__(self):\n        self.foo = "FOO"\n' in done
    assert done.count("Copied from") == 1
    assert "from ..bar.pipeline_bar import Base, plain" not in done
    assert "from ..bar.pipeline_bar import Base\n" in done


def test_an_availability_guard_is_kept_with_what_is_needed() -> None:
    done = filled(f"import torch\n\n\n{stub('guarded')}\n\n{stub('cleaned')}")
    head = done.split("# Copied")[0]
    assert format_python({PATH: done}, line_length=119)[PATH].split("# Copied")[0] == (
        "from ...utils import is_ftfy_available, is_torch_xla_available\n"
        "\n\n"
        "if is_torch_xla_available():\n    XLA_AVAILABLE = True\nelse:\n    XLA_AVAILABLE = False\n"
        "\n\n"
        "if is_torch_xla_available():\n    import torch_xla.core.xla_model as xm\n"
        "\n\n"
        "if is_ftfy_available():\n    import ftfy\n\n\n"
    )
    assert head.count("import ftfy") == 1


def test_a_try_is_kept_with_its_handler() -> None:
    assert filled(stub("tried")).startswith(
        "\n\ntry:\n    import fancy\nexcept ImportError:\n    fancy = None\n\n# Copied"
    )


def test_a_logger_is_made_for_the_new_module_and_not_imported() -> None:
    done = filled(stub("logged"))
    assert done.startswith("from ...utils import logging\n\n\nlogger = logging.get_logger(__name__)\n\n# Copied")
    own = f"logger = make()\n\n\n{stub('logged')}"
    assert filled(own).startswith("logger = make()\n\n\n# Copied")


def test_names_in_string_annotations_count_and_literals_do_not() -> None:
    assert filled(stub("kinds")).split("# Copied")[0] == (
        "from typing import Callable\nfrom typing import Literal\nfrom ...models.attention import Mixer\n"
    )


def test_a_dotted_import_is_added_where_it_is_used() -> None:
    assert filled(f"import torch\n\n\n{stub('saved')}").startswith(
        "import torch\nimport torch.utils.checkpoint\n\n\n#"
    )
    assert filled(f"import torch\n\n\n{stub('wide')}").count("checkpoint") == 0


def test_imports_are_written_for_the_place_of_the_target() -> None:
    path = "src/diffusers/models/transformers/transformer_foo.py"
    assert filled(stub("drawn"), path).startswith(
        "from ...pipelines.bar.pipeline_bar import plain\nfrom ...pipelines.helpers import randn\n"
    )
    assert filled(stub("drawn"), "tests/foo.py").startswith(
        "from diffusers.pipelines.bar.pipeline_bar import plain\nfrom diffusers.pipelines.helpers import randn\n"
    )
    same = "src/diffusers/pipelines/bar/other.py"
    assert filled(stub("drawn"), same).startswith("from .pipeline_bar import plain\nfrom ..helpers import randn\n")


def test_what_the_target_defines_is_not_imported() -> None:
    text = f"def plain(): pass\n\n\ndef randn(): pass\n\n\n{stub('drawn')}"
    assert filled(text).startswith("def plain(): pass\n")
    both = f"{stub('plain')}\n\n{stub('drawn')}"
    assert filled(both).startswith("from ..helpers import randn\n# Copied")


def test_crlf_files_stay_crlf() -> None:
    done = fill(f"import os\n\n\n{stub('plain')}".replace("\n", "\r\n"), PATH, SNAPSHOT, own=())
    assert "\n" not in done.replace("\r\n", "")
    windows = Snapshot(None, {SOURCE_PATH: SOURCE.replace("\n", "\r\n")})
    assert fill(stub("wide"), PATH, windows, own=()) == filled(stub("wide"))


OLDER = """\
    # Copied from diffusers.{first}
    # or, in an older checkout, from diffusers.{second}
    def plain(): ...
"""


@pytest.mark.parametrize(
    ("first", "second", "used"),
    [
        ("pipelines.bar.pipeline_bar.Bar.plain", "gone.Bar.plain", "pipelines.bar.pipeline_bar.Bar.plain"),
        ("gone.Bar.plain", "pipelines.bar.pipeline_bar.Bar.plain", "pipelines.bar.pipeline_bar.Bar.plain"),
        (
            "pipelines.bar.pipeline_bar.Bar.gone with Bar->Foo",
            "pipelines.bar.pipeline_bar.Bar.plain with self->me",
            "pipelines.bar.pipeline_bar.Bar.plain with self->me",
        ),
    ],
)
def test_an_older_source_is_tried_when_the_first_is_missing(first: str, second: str, used: str) -> None:
    done = filled("class Foo:\n" + OLDER.format(first=first, second=second))
    assert f"    # Copied from diffusers.{used}\n    def plain(" in done
    assert "older checkout" not in done
    assert ("def plain(me, a)" in done) == ("me" in used.split("->")[-1:])


def test_no_source_at_all_names_both() -> None:
    error = refusal(
        "class Foo:\n" + OLDER.format(first="gone.Bar.plain", second="pipelines.bar.pipeline_bar.Bar.gone")
    )
    assert error.message == (
        "Foo.plain can not be copied: this checkout has no module for diffusers.gone.Bar.plain, and class Bar of "
        "src/diffusers/pipelines/bar/pipeline_bar.py has no gone"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            stub("looped"),
            "it uses NUMBER, a name of src/diffusers/pipelines/bar/pipeline_bar.py that can not be imported",
        ),
        (
            stub("lost"),
            "it uses nowhere, which neither src/diffusers/pipelines/bar/pipeline_bar.py nor this file defines",
        ),
        (stub("plain", renames=" with a->class"), "after the renames of the header it is not valid Python"),
        (stub("local"), "`from .pipeline_output import BarOutput` inside it holds only in the folder of"),
        (stub("Bar"), "diffusers.pipelines.bar.pipeline_bar.Bar is not a def"),
        (stub("plain", kind="class"), "diffusers.pipelines.bar.pipeline_bar.plain is not a class"),
        (stub("Bar.plain", "plain"), "stands at another indentation"),
        (stub("absent"), "src/diffusers/pipelines/bar/pipeline_bar.py has no absent"),
        (
            "class Foo:\n    # Copied from diffusers.pipelines.bar.pipeline_bar.Bar.fixed\n    def fixed(): ...\n",
            "is decorated with @staticmethod, and the stub is not",
        ),
        (
            "class Foo:\n    # Copied from diffusers.pipelines.bar.pipeline_bar.Bar.fixed\n    @staticmethod\n"
            "    def fixed(): ...\n",
            "its header stands above the decorators",
        ),
        ("# Copied from diffusers.pipelines.bar.pipeline_bar\ndef plain(): ...\n", "is a whole module"),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    error = refusal(text)
    assert reason in error.message
    assert len(unfilled(text)) == 1


def test_an_own_file_is_no_source() -> None:
    error = refusal(stub("plain"), own=(SOURCE_PATH,))
    assert f"its source {SOURCE_PATH} is one of the model's own files" in error.message


def test_modular_blocks_do_not_import_standard_pipelines() -> None:
    modular = "src/diffusers/modular_pipelines/foo/denoise.py"
    assert "return a + b" in filled(stub("plain"), modular)
    error = refusal(stub("drawn"), modular)
    assert (
        "it needs plain of diffusers.pipelines.bar.pipeline_bar, and modular pipelines must not import"
        in error.message
    )
    assert "return randn" in filled(f"{stub('plain')}\n\ndef randn(): pass\n\n\n{stub('drawn')}", modular)


def test_modular_blocks_do_not_import_blocks_of_another_model() -> None:
    there = "src/diffusers/modular_pipelines/bar/inputs.py"
    source = "from ..utils import shared\n\n\ndef helper():\n    return 1\n\n\ndef f():\n    return helper()\n\n\ndef g():\n    return shared()\n"
    snapshot = Snapshot(None, {there: source})
    text = "# Copied from diffusers.modular_pipelines.bar.inputs.{0}\ndef {0}(): ...\n"
    with pytest.raises(CopySourceError, match="modular pipelines must not import"):
        fill(text.format("f"), "src/diffusers/modular_pipelines/foo/inputs.py", snapshot, own=())
    done = fill(text.format("g"), "src/diffusers/modular_pipelines/foo/inputs.py", snapshot, own=())
    assert done.startswith("from ..utils import shared\n")


def test_what_is_no_stub_with_a_header_is_left_alone() -> None:
    text = (
        "# Copied from diffusers.pipelines.bar.pipeline_bar.plain\ndef plain():\n    pass\n\n\n"
        "def abstract(): ...\n\n\n"
        "# Copied from diffusers.pipelines.bar.pipeline_bar.wide\ndef wide():\n    '''Doc.'''\n    ...\n"
    )
    assert filled(text) == text


def test_unfilled_lists_line_and_qualified_name() -> None:
    text = f"{stub('plain')}\n\nclass Foo:\n    x: int = ...\n\n    @staticmethod\n    # Copied from diffusers.a.b\n    def b(): ...\n"
    assert unfilled(text) == [(2, "plain"), (10, "Foo.b")]
    assert unfilled("def f(): ...\n") == []


def test_a_file_that_does_not_parse_is_reported() -> None:
    with pytest.raises(BrokenFile, match="line 3"):
        fill(f"{stub('plain')}def (\n", PATH, SNAPSHOT, own=())
    broken = Snapshot(None, {SOURCE_PATH: "<<<<<<< HEAD\n"})
    with pytest.raises(BrokenFile) as caught:
        fill(stub("plain"), PATH, broken, own=())
    assert caught.value.path == SOURCE_PATH


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f(a, *b, c=D, **e): return a, b, c, e, G", {"D", "G"}),
        ("def f():\n    x = 1\n    def g():\n        nonlocal x\n        return x + y\n    return g", {"y"}),
        ("def f(): return [x for x in xs if (y := x)], y", {"xs"}),
        (
            "def f():\n    try:\n        pass\n    except E as e:\n        raise e\n    with o as p, q(p): pass\n    import z\n    return z",
            {"E", "o", "q"},
        ),
        (
            "class A(B, metaclass=C):\n    x = 1\n    y = x\n    def m(self): return x, super().m(), __class__",
            {"B", "C", "super", "x"},
        ),
        ("def f(a: 'X | list[Y]') -> 'Z.z':\n    b: W = 1\n    return b", {"X", "Y", "Z", "W", "list"}),
        (
            "def f(a: Literal['X'], b: Annotated['V', 'u'], c: 'not a type at all'): pass",
            {"Literal", "Annotated", "V"},
        ),
        ("def f():\n    global G\n    G = 1\n    return G", {"G"}),
        ("def f(n): return f(n - 1)", set()),
        ("def f(x):\n    match x:\n        case P(y=z) if z: return z\n        case [*rest]: return rest", {"P"}),
        ("async def f(xs):\n    async for x in xs: yield lambda y=k: (x, y)", {"k"}),
    ],
)
def test_free_names(code: str, names: set[str]) -> None:
    assert free_names(code) == names


# The oracle: diffusers' own blocks, blanked to stubs and filled again.

SAMPLE = 260


def headers_in(text: str) -> list[int]:
    """The lines (from 1) of the definitions that have a header."""
    lines = text.split("\n")
    return [
        index + 2
        for index, line in enumerate(lines[:-1])
        if HEADER.search(line) and lines[index + 1].lstrip().startswith(("def ", "class "))
    ]


def blanked(text: str, line: int) -> str:
    """The text with the definition in ``line`` as a stub."""
    lines = text.split("\n")
    node = next(
        each
        for each in ast.walk(ast.parse(text))
        if isinstance(each, ast.FunctionDef | ast.ClassDef) and each.lineno == line
    )
    indent = " " * node.col_offset
    end = node.end_lineno or 0
    while end < len(lines) and (lines[end].startswith(f"{indent}    ") or not lines[end].strip()):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    start = f"class {node.name}" if isinstance(node, ast.ClassDef) else f"def {node.name}()"
    return "\n".join([*lines[: line - 1], f"{indent}{start}: ...", *lines[end:]])


def check_copies_of(checkout: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_copies", checkout / "utils/check_copies.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def without_imports(text: str) -> str:
    """The text but for its imports and the guards around them, which may come back in another form."""
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom | ast.If | ast.Try)]
    return ast.unparse(tree)


@pytest.mark.checkout
def test_the_blocks_of_diffusers_come_back(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank a real block, drop the imports that only it needs, fill, format: the real file must come back.

    Where the real file differs from that, it may only be in what check_copies.py does not compare: a signature on one
    line, which in the copy has drifted from its source, or another but equivalent import.
    """
    snapshot = Snapshot(checkout)
    everything = [
        (path, line) for path in snapshot.walk("src/diffusers") for line in headers_in(snapshot.read(path) or "")
    ]
    assert len(everything) > 1000
    chosen = random.Random(2).sample(everything, SAMPLE)
    folders = {path.split("/")[2] for path, _ in chosen}
    assert {"models", "pipelines", "modular_pipelines", "schedulers"} <= folders
    on_path = shutil.which("ruff")
    ruff = on_path or find_ruff(None)

    stubbed = {
        f"{index}/{path}": blanked(snapshot.read(path) or "", line) for index, (path, line) in enumerate(chosen)
    }
    assert all(len(unfilled(text)) == 1 for text in stubbed.values())
    bare = format_python(stubbed, line_length=119, ruff=ruff)
    refused: dict[str, str] = {}
    results: dict[str, str] = {}
    for key, text in bare.items():
        try:
            results[key] = fill(text, key.split("/", 1)[1], snapshot, own=())
        except CopySourceError as error:
            refused[key] = error.message
    done = format_python(results, line_length=119, ruff=ruff)

    # Each kind of refusal was looked at: the header of the real block renames to a name that only an import (dropped
    # above) or a drifted signature binds, or it renames a parameter to no valid one, or a decorator is missing.
    justified = re.compile(r"which neither .* nor this file defines|is not valid Python|is decorated with")
    assert [message for message in refused.values() if not justified.search(message)] == []
    assert len(refused) <= SAMPLE // 50

    equal = [key for key, text in done.items() if text == snapshot.read(key.split("/", 1)[1])]
    print(
        f"{len(done)} of {SAMPLE} blocks filled, {len(equal)} of them byte for byte as they were, {len(refused)} refused"
    )
    assert len(equal) >= 0.9 * SAMPLE

    monkeypatch.chdir(checkout)
    monkeypatch.setenv("PATH", f"{Path(ruff).parent}:/usr/bin:/bin")
    check_copies = check_copies_of(checkout)
    different = [key for key in done if key not in equal]
    for key in [*different, *equal[:20]]:
        target = tmp_path / key
        target.parent.mkdir(parents=True)
        target.write_text(done[key], encoding="utf-8")
        assert check_copies.is_copy_consistent(str(target)) == [], key
    for key in different:
        path = key.split("/", 1)[1]
        before, after = without_imports(snapshot.read(path) or ""), without_imports(done[key])
        changed = [(old, new) for old, new in zip(before.split("\n"), after.split("\n"), strict=True) if old != new]
        assert all(new.lstrip().startswith(("def ", "class ")) for _, new in changed), (path, changed)

    folder = tmp_path / "lint"
    for key, text in done.items():
        target = folder / key
        target.parent.mkdir(parents=True)
        target.write_text(text, encoding="utf-8")
    (folder / "ruff.toml").write_text(
        'line-length = 119\nlint.select = ["F401", "F821", "I"]\n'
        'lint.isort = {lines-after-imports = 2, known-first-party = ["diffusers"]}\n'
    )
    linted = subprocess.run(
        [ruff, "check", "--no-cache", "--quiet", "."], cwd=folder, capture_output=True, text=True, check=False
    )
    assert linted.stdout == ""
    assert linted.returncode == 0


@pytest.mark.checkout
def test_signatures_are_those_of_the_source(pristine: Path) -> None:
    """check_copies.py does not compare a signature on one line, so it is compared here, by its tree."""
    snapshot = Snapshot(pristine)
    headers = {
        "pipelines.stable_diffusion.pipeline_stable_diffusion.retrieve_timesteps": 0,
        "pipelines.flux.pipeline_flux.calculate_shift": 0,
        "pipelines.stable_diffusion_3.pipeline_stable_diffusion_3.StableDiffusion3Pipeline.prepare_latents": 4,
        "schedulers.scheduling_dpmsolver_multistep.DPMSolverMultistepScheduler.set_begin_index": 4,
    }
    for source, depth in headers.items():
        name = source.rsplit(".", 1)[1]
        indent = " " * depth
        body = f"{indent}# Copied from diffusers.{source}\n{indent}def {name}(): ...\n"
        done = fill(f"class Foo:\n{body}" if depth else body, PATH, snapshot, own=())
        module = source.split(".")[: -2 if depth else -1]
        original = ast.parse(snapshot.read("src/diffusers/" + "/".join(module) + ".py") or "")
        assert signature(ast.parse(done), name) == signature(original, name)


def signature(tree: ast.Module, name: str) -> str:
    node = next(each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == name)
    return ast.dump(node.args) + (ast.dump(node.returns) if node.returns else "")
