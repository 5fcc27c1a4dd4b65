"""A backend group that a checkout asks for nowhere yet: a guard of its own in every init, and a module of placeholders."""

from __future__ import annotations

import pytest
import registry_checks as checks

from scaffold_model.errors import AnchorNotFound
from scaffold_model.registration import register
from scaffold_model.registries.base import Entry
from scaffold_model.snapshot import Snapshot

SRC = "src/diffusers"
ROOT = """\
from typing import TYPE_CHECKING

from .utils import (
    DIFFUSERS_SLOW_IMPORT,
    OptionalDependencyNotAvailable,
    _LazyModule,
    is_torch_available,
    is_transformers_available,
)


_import_structure = {"models": []}

try:
    if not is_torch_available():
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    from .utils import dummy_pt_objects  # noqa F403

    _import_structure["utils.dummy_pt_objects"] = [name for name in dir(dummy_pt_objects) if not name.startswith("_")]

else:
    _import_structure["models"] = ["BarModel"]

try:
    if not (is_torch_available() and is_transformers_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    from .utils import dummy_torch_and_transformers_objects  # noqa F403

    _import_structure["utils.dummy_torch_and_transformers_objects"] = [
        name for name in dir(dummy_torch_and_transformers_objects) if not name.startswith("_")
    ]

else:
    _import_structure["pipelines"] = ["BarPipeline"]
{lazy}
if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
    try:
        if not is_torch_available():
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        from .utils.dummy_pt_objects import *  # noqa F403
    else:
        from .models import BarModel

    try:
        if not (is_torch_available() and is_transformers_available()):
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        from .utils.dummy_torch_and_transformers_objects import *  # noqa F403
    else:
        from .pipelines import BarPipeline
{types}
else:
    import sys

    sys.modules[__name__] = _LazyModule(__name__, globals()["__file__"], _import_structure, module_spec=__spec__)
"""
ROOT_LAZY = """
try:
    if not (is_torch_available() and is_transformers_available() and is_foo_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    from .utils import dummy_torch_and_transformers_and_foo_objects  # noqa F403

    _import_structure["utils.dummy_torch_and_transformers_and_foo_objects"] = [
        name for name in dir(dummy_torch_and_transformers_and_foo_objects) if not name.startswith("_")
    ]

else:
    _import_structure["pipelines"].extend(["FooPipeline"])
"""
ROOT_TYPES = """
    try:
        if not (is_torch_available() and is_transformers_available() and is_foo_available()):
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        from .utils.dummy_torch_and_transformers_and_foo_objects import *  # noqa F403
    else:
        from .pipelines import FooPipeline
"""
# The halves of this one are nested, as they were for years.
PIPELINES = """\
from typing import TYPE_CHECKING

from ..utils import DIFFUSERS_SLOW_IMPORT, OptionalDependencyNotAvailable, is_torch_available, is_transformers_available


_dummy_objects = {}
_import_structure = {}

try:
    if not is_torch_available():
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    from ..utils import dummy_pt_objects  # noqa F403

    _dummy_objects.update(get_objects_from_module(dummy_pt_objects))
else:
    _import_structure["deprecated"] = []
try:
    if not (is_torch_available() and is_transformers_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    from ..utils import (
        dummy_torch_and_transformers_objects,
    )

    _dummy_objects.update(get_objects_from_module(dummy_torch_and_transformers_objects))
else:
    _import_structure["bar"] = ["BarPipeline"]
{lazy}
if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
    try:
        if not is_torch_available():
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        from ..utils.dummy_pt_objects import *
    else:
        from .deprecated import OldPipeline

        try:
            if not (is_torch_available() and is_transformers_available()):
                raise OptionalDependencyNotAvailable()
        except OptionalDependencyNotAvailable:
            from ..utils.dummy_torch_and_transformers_objects import *
        else:
            from .bar import BarPipeline
{types}"""
PIPELINES_LAZY = """
try:
    if not (is_torch_available() and is_transformers_available() and is_foo_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    from ..utils import (
        dummy_torch_and_transformers_and_foo_objects,
    )

    _dummy_objects.update(get_objects_from_module(dummy_torch_and_transformers_and_foo_objects))
else:
    _import_structure["foo"] = ["FooPipeline"]
"""
PIPELINES_TYPES = """
        try:
            if not (is_torch_available() and is_transformers_available() and is_foo_available()):
                raise OptionalDependencyNotAvailable()
        except OptionalDependencyNotAvailable:
            from ..utils.dummy_torch_and_transformers_and_foo_objects import *
        else:
            from .foo import FooPipeline
"""
PACKAGE = """\
_import_structure = {}

try:
    if not (is_transformers_available() and is_foo_available() and is_torch_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    pass
else:
    _import_structure["pipeline_foo"] = ["FooPipeline"]

if TYPE_CHECKING:
    try:
        if not (is_transformers_available() and is_foo_available() and is_torch_available()):
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        pass
    else:
        from .pipeline_foo import FooPipeline
"""
PLACEHOLDER = """\
# This file is autogenerated by the command `make fix-copies`, do not edit.
from ..utils import DummyObject, requires_backends


class FooPipeline(metaclass=DummyObject):
    _backends = ["torch", "transformers", "foo"]

    def __init__(self, *args, **kwargs):
        requires_backends(self, ["torch", "transformers", "foo"])

    @classmethod
    def from_config(cls, *args, **kwargs):
        requires_backends(cls, ["torch", "transformers", "foo"])

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        requires_backends(cls, ["torch", "transformers", "foo"])
"""


def root(lazy: str = "", types: str = "", known: str = "") -> str:
    text = ROOT.replace("{lazy}", lazy).replace("{types}", types)
    return text.replace("    is_torch_available,\n", f"    {known},\n    is_torch_available,\n") if known else text


def pipelines(lazy: str = "", types: str = "", known: str = "") -> str:
    text = PIPELINES.replace("{lazy}", lazy).replace("{types}", types)
    short = "from ..utils import DIFFUSERS_SLOW_IMPORT, OptionalDependencyNotAvailable, is_torch_available, is_transformers_available\n"
    names = (
        "DIFFUSERS_SLOW_IMPORT",
        "OptionalDependencyNotAvailable",
        known,
        "is_torch_available",
        "is_transformers_available",
    )
    broken = "from ..utils import (\n" + "".join(f"    {name},\n" for name in names) + ")\n"
    assert short in text
    return text.replace(short, broken) if known else text


def tree() -> dict[str, str]:
    return {
        f"{SRC}/__init__.py": root(),
        f"{SRC}/models/__init__.py": '_import_structure = {}\n_import_structure["bar"] = ["BarModel"]\n',
        f"{SRC}/models/modeling_utils.py": "class ModelMixin:\n    pass\n",
        f"{SRC}/models/bar.py": "class BarModel(ModelMixin):\n    pass\n",
        f"{SRC}/pipelines/__init__.py": pipelines(),
        f"{SRC}/pipelines/bar/pipeline_bar.py": "class BarPipeline(DiffusionPipeline):\n    pass\n",
        f"{SRC}/pipelines/foo/__init__.py": PACKAGE,
        f"{SRC}/pipelines/foo/pipeline_foo.py": "class FooPipeline(DiffusionPipeline):\n    pass\n",
    }


def test_a_pipeline_of_a_new_backend_group_gets_its_guards_and_a_module_of_placeholders() -> None:
    files = tree()
    plan = register(Snapshot(None, files))
    assert plan.overlay() == {
        f"{SRC}/pipelines/__init__.py": pipelines(PIPELINES_LAZY, PIPELINES_TYPES, "is_foo_available"),
        f"{SRC}/__init__.py": root(ROOT_LAZY, ROOT_TYPES, "is_foo_available"),
        f"{SRC}/utils/dummy_torch_and_transformers_and_foo_objects.py": PLACEHOLDER,
    }
    assert plan.notices == ()
    assert not register(Snapshot(None, {**files, **plan.overlay()}))


@pytest.mark.parametrize("half", ["structure", "types"])
def test_a_guard_that_every_module_has_is_not_made_anew(half: str) -> None:
    registry = checks.load(f"root_{half}")
    text = root().replace("(is_torch_available() and is_transformers_available())", "is_foo_available()")
    entry = Entry(f"root_{half}", "x", "FooPipeline", "pipelines", backends=("torch", "transformers"))
    with pytest.raises(AnchorNotFound):
        registry.insert(text, entry)


def test_one_that_asks_for_what_no_statement_guards_is_refused() -> None:
    text = '_import_structure = {}\nif is_torch_available():\n    _import_structure["models"] = ["BarModel"]\n'
    entry = Entry("root_structure", "x", "FooPipeline", "pipelines", backends=("torch", "foo"))
    with pytest.raises(AnchorNotFound, match="is_torch_available"):
        checks.load("root_structure").insert(text, entry)


def test_a_condition_without_an_else_has_an_empty_suite_that_is_no_place() -> None:
    before = """\
from .bar import BarPipeline

if is_sentencepiece_available():
    from .kolors import KolorsPipeline

mapping = {}
"""
    entry = Entry("plain_package", "x", "FooPipeline", "foo")
    after = before.replace("BarPipeline\n", "BarPipeline\nfrom .foo import FooPipeline\n", 1)
    checks.check(checks.load("plain_package"), before, entry, after)
