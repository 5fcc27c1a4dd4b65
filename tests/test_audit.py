"""The audit sees each defect when it is made alone, says nothing else, and its repairs put back what was there."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from audit_cases import DEFECTS, DUMMIES, FAMILIES, MAPPING, REGISTRY, ROOT, Defect, Family, read

from scaffold_model.audit import Branch, Problem, View, audit, audit_view, is_clean, new_since
from scaffold_model.audit.copies import check_copies
from scaffold_model.audit.fixing import fix
from scaffold_model.audit.history import PastSnapshot
from scaffold_model.audit.order import misplaced
from scaffold_model.formatting import find_ruff
from scaffold_model.plan import Finding
from scaffold_model.registries import REGISTRIES, Entry
from scaffold_model.snapshot import Snapshot

OMISSIONS = (
    ("model", ("models_package", "models_structure", "models_types", "root_structure", "root_types", "dummy_objects")),
    (
        "pipeline",
        (
            "package_structure",
            "package_types",
            "pipelines_structure",
            "pipelines_types",
            "root_structure",
            "root_types",
            "dummy_objects",
        ),
    ),
    (
        "modular",
        (
            "package_structure",
            "package_types",
            "modular_structure",
            "modular_types",
            "root_structure",
            "root_types",
            "dummy_objects",
        ),
    ),
    ("blocks", ("package_structure", "package_types", "modular_structure", "modular_types", "root_structure")),
    ("lora", ("loaders_structure", "loaders_types", "lora_docs")),
)
#: How many entries the sweep takes out; all of them were taken out once, which takes a quarter of an hour.
SWEEP = int(os.environ.get("SCAFFOLD_MODEL_SWEEP", "40"))
CASES = [(part, registry) for part, registries in OMISSIONS for registry in registries]


class Untouched:
    """The clone, its audit, and the state of it after a defect."""

    def __init__(self, pristine: Path) -> None:
        self.snapshot = Snapshot(pristine)
        self.view = View(self.snapshot)
        self.problems = audit_view(self.view)

    def with_defect(self, defect: Defect) -> Snapshot:
        return PastSnapshot(self.snapshot, defect.texts, defect.absent)

    def difference(self, snapshot: Snapshot) -> tuple[list[Problem], list[Problem]]:
        """What the audit finds now and did not before, and the other way round."""
        now = audit(snapshot)
        return new_since(now, self.problems), new_since(self.problems, now)


@pytest.fixture(scope="module")
def untouched(pristine: Path) -> Untouched:
    return Untouched(pristine)


def _tuple(finding: Finding) -> tuple[str, str, str, str, bool]:
    return finding.registry, finding.object, finding.path, finding.severity, finding.fixable


def _omitted(untouched: Untouched, family: Family, part: str, registry_name: str) -> tuple[str, str, str]:
    """The path, the text without the entry, and the object."""
    registry = REGISTRY[registry_name]
    export = untouched.view.exports[getattr(family, part)]
    entries = list(registry.entries(export, untouched.view.conventions, untouched.snapshot))
    # Nested packages have an init each; the innermost is the first.
    entry = entries[0]
    before = read(untouched.snapshot, entry.path)
    after = registry.remove(before, entry)
    assert after != before, "the case makes no omission"
    return entry.path, after, export.name


@pytest.mark.checkout
@pytest.mark.parametrize(("part", "registry"), CASES)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_omission_alone_is_the_one_finding(
    untouched: Untouched, family: Family, part: str, registry: str
) -> None:
    path, text, name = _omitted(untouched, family, part, registry)
    found, gone = untouched.difference(untouched.snapshot.overlaid({path: text}))
    severity = "warning" if registry == "lora_docs" else "error"
    assert [_tuple(each.finding) for each in found] == [(registry, name, path, severity, True)]
    assert [_tuple(each.finding) for each in gone] == []
    line = found[0].finding.line
    if line is not None:
        # Where the name belongs, or where the other half has it.
        rows = "\n".join(text.split("\n")[line - 1 : line + 400])
        head = rows.split("\n", 1)[0]
        assert name in head or "import" in head or "_import_structure" in head
    elif registry not in ("dummy_objects", "lora_docs"):
        # The last name of its module leaves no statement behind, and no other half names it there.
        assert registry == "models_package"


MODEL_REGISTRIES = (
    "models_package",
    "models_structure",
    "models_types",
    "root_structure",
    "root_types",
    "dummy_objects",
)
#: What the families have none of, with the registries that list such a class.
OTHERS = {
    "FlowMatchEulerDiscreteScheduler": (
        "schedulers_structure",
        "schedulers_types",
        "root_structure",
        "root_types",
        "dummy_objects",
    ),
    "AutoencoderKLWan": MODEL_REGISTRIES,
    "AutoencoderOobleck": MODEL_REGISTRIES,
    "FluxControlNetModel": MODEL_REGISTRIES,
    "UNet2DConditionModel": MODEL_REGISTRIES,
}


@pytest.mark.checkout
@pytest.mark.parametrize(
    ("name", "registry_name"), [(name, registry) for name, registries in OTHERS.items() for registry in registries]
)
def test_an_omission_of_another_kind_of_class_is_the_one_finding(
    untouched: Untouched, name: str, registry_name: str
) -> None:
    registry = REGISTRY[registry_name]
    entries = list(registry.entries(untouched.view.exports[name], untouched.view.conventions, untouched.snapshot))
    before = read(untouched.snapshot, entries[0].path)
    after = registry.remove(before, entries[0])
    assert after != before
    found, gone = untouched.difference(untouched.snapshot.overlaid({entries[0].path: after}))
    assert [_tuple(each.finding) for each in found] == [(registry_name, name, entries[0].path, "error", True)]
    assert gone == []


@pytest.mark.checkout
def test_an_omission_anywhere_is_seen(untouched: Untouched) -> None:
    """A sample of all entries of all registries, each taken out alone."""
    old = {each.finding.object for each in untouched.problems}
    subjects = [
        (registry, entry)
        for registry in REGISTRIES
        for subject in untouched.view.exports.values()
        if subject.name not in old
        for entry in registry.entries(subject, untouched.view.conventions, untouched.snapshot)
    ]
    missed = []
    for registry, entry in random.Random(20261123).sample(subjects, SWEEP):
        before = read(untouched.snapshot, entry.path)
        after = registry.remove(before, entry)
        assert after != before, entry
        found, _ = untouched.difference(untouched.snapshot.overlaid({entry.path: after}))
        if (registry.NAME, entry.object) not in {(each.finding.registry, each.finding.object) for each in found}:
            missed.append((registry.NAME, entry.object))
    assert missed == []


@pytest.mark.checkout
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("make", DEFECTS, ids=lambda make: make.__name__)
def test_each_defect_alone_is_found_and_nothing_else(untouched: Untouched, make: object, family: Family) -> None:
    assert callable(make)
    defect: Defect = make(untouched.snapshot, family)
    found, gone = untouched.difference(untouched.with_defect(defect))
    assert {_tuple(each.finding) for each in found} == defect.expected
    assert [_tuple(each.finding) for each in gone] == []
    for each in found:
        finding = each.finding
        if defect.line is not None:
            assert finding.line == defect.line
        elif finding.line is not None and finding.registry != "todo":
            text = untouched.with_defect(defect).read(finding.path)
            assert text is not None
            assert finding.object.split(".")[-1] in text.split("\n")[finding.line - 1]


@pytest.mark.checkout
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_tests_of_a_family_that_are_gone_are_missed(untouched: Untouched, family: Family) -> None:
    tests = frozenset(untouched.snapshot.walk(family.pipeline_tests))
    assert tests
    found, gone = untouched.difference(untouched.with_defect(Defect({}, frozenset(), tests)))
    assert {each.finding.registry for each in found} == {"tests"}
    assert family.pipeline in {each.finding.object for each in found}
    package = f"src/diffusers/pipelines/{family.name}/"
    assert all(each.finding.path.startswith(package) for each in found)
    assert gone == []


@pytest.mark.checkout
@pytest.mark.parametrize(
    ("pattern", "key", "fixable"),
    [
        (r' +\("flux-kontext", .*\n', "flux-kontext", True),
        (r' +\("z-image", .*\n', "z-image", True),
        (r' +\("ltx2", .*\n', "ltx2", True),
        # The classes of a hand-written map function share one key, which no rule can write.
        (r' +\("wan", .*\n', "wan", False),
    ],
)
def test_a_key_missing_from_the_modular_mapping(untouched: Untouched, pattern: str, key: str, fixable: bool) -> None:
    before = read(untouched.snapshot, MAPPING)
    text, count = re.subn(pattern, "", before, count=1)
    assert count == 1
    found, gone = untouched.difference(untouched.snapshot.overlaid({MAPPING: text}))
    assert [_tuple(each.finding) for each in found] == [("modular_mapping", key, MAPPING, "error", fixable)]
    assert gone == []


@pytest.mark.checkout
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_fix_puts_back_what_was_left_out(untouched: Untouched, family: Family) -> None:
    """All omissions of sorted registries at once: the repaired texts are the untouched ones, byte for byte."""
    texts: dict[str, str] = {}
    for part, registry in (
        ("model", "models_package"),
        ("model", "models_structure"),
        ("model", "root_types"),
        ("model", "dummy_objects"),
        ("pipeline", "pipelines_types"),
        ("pipeline", "root_structure"),
        ("modular", "modular_types"),
        ("modular", "root_types"),
    ):
        export = untouched.view.exports[getattr(family, part)]
        (entry,) = list(REGISTRY[registry].entries(export, untouched.view.conventions, untouched.snapshot))
        before = texts.get(entry.path) or read(untouched.snapshot, entry.path)
        texts[entry.path] = REGISTRY[registry].remove(before, entry)
    broken = untouched.snapshot.overlaid(texts)
    problems = new_since(audit(broken), untouched.problems)
    assert {each.finding.fixable for each in problems} == {True}

    def again(snapshot: Snapshot) -> Sequence[Problem]:
        return new_since(audit(snapshot), untouched.problems)

    plan, remaining = fix(broken, problems, again)
    assert remaining == []
    assert {edit.path: edit.after for edit in plan.edits} == {path: read(untouched.snapshot, path) for path in texts}


@pytest.mark.checkout
def test_fix_repairs_the_untouched_tree_and_a_second_check_is_clean_of_it(untouched: Untouched) -> None:
    plan, remaining = fix(untouched.snapshot, untouched.problems, audit)
    assert plan.edits
    assert [each.finding for each in remaining if each.finding.fixable] == []
    assert new_since(remaining, untouched.problems) == []
    for edit in plan.edits:
        compile(edit.after, edit.path, "exec")


@pytest.mark.checkout
def test_a_renamed_class_is_stale_where_it_is_listed_and_missing_under_its_new_name(untouched: Untouched) -> None:
    path = untouched.view.exports["FluxFillPipeline"].path
    text = read(untouched.snapshot, path).replace("class FluxFillPipeline(", "class FluxBackfillPipeline(")
    broken = untouched.snapshot.overlaid({path: text})
    found, _ = untouched.difference(broken)
    stale = {each.finding.registry for each in found if each.finding.object == "FluxFillPipeline"}
    missing = {each.finding.registry for each in found if each.finding.object == "FluxBackfillPipeline"}
    places = {
        "package_structure",
        "package_types",
        "pipelines_structure",
        "pipelines_types",
        "root_structure",
        "root_types",
        "dummy_objects",
    }
    assert stale >= places
    assert missing >= places

    def again(snapshot: Snapshot) -> Sequence[Problem]:
        return new_since(audit(snapshot), untouched.problems)

    plan, remaining = fix(broken, found, again)
    assert [each.finding for each in remaining if each.finding.fixable] == []
    root = next(edit.after for edit in plan.edits if edit.path == ROOT)
    assert "FluxFillPipeline" not in root
    assert root.count("FluxBackfillPipeline") == 2
    dummies = next(edit.after for edit in plan.edits if edit.path == DUMMIES)
    assert dummies.count("class FluxBackfillPipeline(") == 1


@pytest.mark.checkout
@pytest.mark.parametrize("folder", ["pipelines/flux", "models/controlnets"])
def test_an_init_that_does_not_parse_is_a_finding(untouched: Untouched, folder: str) -> None:
    path = f"src/diffusers/{folder}/__init__.py"
    text = read(untouched.snapshot, path) + "\nif True:\n"
    found, _ = untouched.difference(untouched.snapshot.overlaid({path: text}))
    assert [(each.finding.registry, each.finding.path, each.finding.severity) for each in found] == [
        ("syntax", path, "error")
    ]


@pytest.mark.checkout
def test_findings_on_the_untouched_tree(untouched: Untouched) -> None:
    """No class that is held back on purpose is reported, and all errors are registrations that really are missing."""
    findings = [each.finding for each in untouched.problems]
    objects = {finding.object for finding in findings}
    assert not objects & {
        "LegacyModelMixin",
        "MultiControlNetUnionModel",
        "ConsistencyDecoderScheduler",
        "LoraLoaderMixin",
    }
    errors = {finding.object for finding in findings if finding.severity == "error"}
    assert errors <= {"StableCascadeUNet", "OnnxStableDiffusionInpaintPipelineLegacy", "ReduxImageEncoder"}
    gaps = {f.object for f in findings if f.registry == "single_file"}
    assert len([name for name in gaps if "Transformer" in name]) == 14
    assert {f.severity for f in findings if f.registry == "single_file"} == {"hint"}
    assert not is_clean(findings)
    assert is_clean(finding for finding in findings if finding.severity == "hint")


@pytest.mark.checkout
def test_copies_agree_with_the_tree_and_a_change_of_either_side_is_seen(untouched: Untouched) -> None:
    path = "src/diffusers/pipelines/flux/pipeline_flux_fill.py"
    names = [path, "src/diffusers/models/transformers/transformer_chroma.py"]
    ruff = lambda: find_ruff(None)  # noqa: E731
    assert list(check_copies(untouched.view, names, ruff)) == []
    text = read(untouched.snapshot, path)
    changed = text.replace("b = (base_seq_len", "b = (base_seq_len + 0", 1).replace(
        "m = (max_shift - base_shift)", "m = (max_shift - base_shift + 0)", 1
    )
    assert changed != text
    view = View(untouched.snapshot.overlaid({path: changed}))
    found = [each.finding for each in check_copies(view, names, ruff)]
    assert [_tuple(each) for each in found] == [
        ("copied_from", "pipelines.flux.pipeline_flux.calculate_shift", path, "error", False)
    ]
    assert found[0].line is not None
    assert "# Copied from" in changed.split("\n")[found[0].line - 1]
    gone = text.replace("flux.pipeline_flux.calculate_shift", "flux.pipeline_flux.calculate_drift", 1)
    view = View(untouched.snapshot.overlaid({path: gone}))
    (finding,) = [each.finding for each in check_copies(view, [path], ruff)]
    assert "names no source" in finding.message


@pytest.mark.checkout
def test_what_must_not_ship_in_a_first_pull_request(untouched: Untouched) -> None:
    model = "src/diffusers/models/transformers/transformer_flux.py"
    texts = {
        "tests/models/transformers/parity.py": "import reference\n",
        "tests/lora/test_lora_layers_zzz.py": "x = 1\n",
        "tests/pipelines/flux/test_pipeline_zzz.py": "from x import slow\n\n\n@slow\nclass TestZzz:\n    pass\n",
        "tests/pipelines/flux/test_pipeline_yyy.py": "class TestY(LoraTesterMixin):\n    pass\n",
        ".scaffold/zzz/tiny.py": "x = 1\n",
        "scripts/compare_zzz.py": "def build_reference():\n    pass\n\n\ndef build_target():\n    pass\n",
        "tests/modular_pipelines/flux/test_zzz.py": 'class A:\n    pretrained_model_name_or_path = "org/tiny-zzz"\n',
    }
    view = View(untouched.snapshot.overlaid(texts))
    first = audit_view(view, branch=lambda: Branch(frozenset({model, *texts})))
    found = {
        (each.finding.object, each.finding.path, each.finding.line)
        for each in first
        if each.finding.registry == "first_pull_request"
    }
    assert found == {
        ("parity", "tests/models/transformers/parity.py", 1),
        ("test_lora_layers_zzz", "tests/lora/test_lora_layers_zzz.py", 1),
        ("test_pipeline_zzz", "tests/pipelines/flux/test_pipeline_zzz.py", 4),
        ("test_pipeline_yyy", "tests/pipelines/flux/test_pipeline_yyy.py", 1),
        ("tiny", ".scaffold/zzz/tiny.py", None),
        ("compare_zzz", "scripts/compare_zzz.py", 1),
        ("org/tiny-zzz", "tests/modular_pipelines/flux/test_zzz.py", 2),
    }
    # The same files in a pull request that adds no model are nobody's first.
    later = audit_view(view, branch=lambda: Branch(frozenset(texts)))
    assert [each for each in later if each.finding.registry == "first_pull_request"] == []


def test_misplaced_names_the_fewest() -> None:
    assert misplaced([1, 2, 3]) == []
    assert misplaced([1, 9, 2, 3]) == [1]
    assert misplaced([2, 3, 1]) == [2]
    assert misplaced([1, 1, 2]) == []
    assert misplaced([]) == []


def test_the_identity_of_a_finding_survives_a_move() -> None:
    def at(line: int) -> Problem:
        return Problem(Finding("root_types", "X", ROOT, line, f"duplicate: already in line {line}", "warning", False))

    assert new_since([at(7)], [at(9)]) == []
    assert new_since([at(7), at(8)], [at(9)]) == [at(8)]


@pytest.mark.checkout
def test_a_class_that_borrows_may_ask_for_more_at_the_root_than_in_its_package(untouched: Untouched) -> None:
    """KolorsPAGPipeline needs what Kolors needs, and the one statement of its package asks for less."""
    assert [each for each in untouched.problems if each.finding.object == "KolorsPAGPipeline"] == []
    registry, root = REGISTRY["root_structure"], read(untouched.snapshot, ROOT)
    (item,) = [each for each in registry.listed(root) if each.object == "KolorsPAGPipeline"]
    entry = Entry(registry.NAME, ROOT, item.object, item.key, backends=item.backends)
    moved = registry.insert(registry.remove(root, entry), replace(entry, backends=("torch", "transformers")))
    found, gone = untouched.difference(untouched.snapshot.overlaid({ROOT: moved}))
    assert [_tuple(each.finding) for each in found] == [("root_structure", item.object, ROOT, "warning", True)]
    assert gone == []
