"""The main job as a plan: finish a render, extend existing modules, register, and write down what was done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from .checkout import Head
from .errors import BadInput, BrokenFile
from .manifest import manifest_path, new_manifest, owned_texts, read_manifest
from .needs import check_needs
from .plan import Edit, NewFile, Plan, Registered, merge_plans
from .preflight import check_spec
from .snapshot import Snapshot
from .spec import ModelSpec


def read_spec(snapshot: Snapshot, name: str) -> ModelSpec:
    """The stored answers of a scaffold.

    Raises:
        BadInput: There is no scaffold of that name here.
        BrokenFile: Its answers file can not be read.
    """
    path = f".scaffold/{name}/answers.yml"
    text = snapshot.read(path)
    if text is None:
        raise BadInput(
            f"there is no scaffold named {name} here (no {path})",
            hint="run in the checkout that it was made in; the folder .scaffold/ is not part of commits",
        )
    return ModelSpec.from_answers(parse_answers(text, path))


def parse_answers(text: str, path: str) -> dict[str, object]:
    """A YAML mapping of answers.

    Raises:
        BrokenFile: The text is no YAML mapping.
    """
    import yaml

    try:
        answers = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise BrokenFile(f"is not valid YAML{where}", path=path, hint="mend it and run again") from None
    if not isinstance(answers, dict):
        raise BrokenFile("holds no answers", path=path, hint="write one `question: answer` a line")
    return {str(key): value for key, value in answers.items()}


def finished(spec: ModelSpec, snapshot: Snapshot, files: Mapping[str, str], ruff: str | None) -> dict[str, str]:
    """Rendered files with their ``# Copied from`` stubs filled from the checkout, formatted.

    Args:
        spec: The answers; their ``line_length`` is what the formatter uses.
        snapshot: The checkout.
        files: The rendered texts by path; the files of the model and Python files of its state folder.
        ruff: The formatter, or None for our own.
    """
    from .copied import fill
    from .older import adapted

    own = tuple(files)
    filled = {
        path: fill(text, path, snapshot, own=own) if path.startswith("src/") and path.endswith(".py") else text
        for path, text in adapted(spec, files).items()
    }
    return {**filled, **_formatted(spec, filled, ruff)}


def formatted(spec: ModelSpec, files: Mapping[str, str], ruff: str | None) -> dict[str, str]:
    """Rendered files as far as they can be finished without a checkout: in its conventions, and formatted."""
    from .older import adapted

    texts = adapted(spec, files)
    return {**texts, **_formatted(spec, texts, ruff)}


def _formatted(spec: ModelSpec, files: Mapping[str, str], ruff: str | None) -> dict[str, str]:
    """The Python files among ``files`` as the checkout's formatter would write them."""
    from .formatting import format_python, wrap_todos

    python = {
        path: wrap_todos(text, spec.name, spec.line_length) for path, text in files.items() if path.endswith(".py")
    }
    return format_python(python, line_length=spec.line_length, ruff=ruff)


def create(
    spec: ModelSpec, snapshot: Snapshot, head: Head, rendered: Mapping[str, str], ruff: str | None = None
) -> Plan:
    """The whole main job: new files from a render, and every edit of existing files.

    Args:
        spec: The answers, which `preflight.check_spec` has compared with the checkout.
        snapshot: The checkout, without the scaffold.
        head: Where the checkout stands.
        rendered: What the template made of the answers, by path.
        ruff: The formatter, or None for our own.

    Raises:
        ScaffoldError: A source of a ``# Copied from`` is missing, or a registry can not be edited.
    """
    files = {path: text for path, text in rendered.items() if path.endswith(".py") or spec.owns(path)}
    others = {path: text for path, text in rendered.items() if path not in files}
    texts = finished(spec, snapshot, files, ruff)
    check_needs(snapshot, texts, spec.new_classes)
    created = Plan(new_files=tuple(NewFile(path, text) for path, text in sorted({**others, **texts}.items())))
    plan = extend_and_register(spec, snapshot, created, ruff, register_too=True)
    return _with_manifest(spec, snapshot, head, plan, texts)


def complete(
    spec: ModelSpec,
    snapshot: Snapshot,
    head: Head,
    ruff: str | None = None,
    *,
    register_too: bool = False,
    fresh: bool = False,
) -> Plan:
    """What a render that Copier made still needs.

    A scaffold that has its manifest was completed before: then, unless ``fresh``, only stubs that are (again) unfilled are filled, and
    nothing is formatted, since the files are the contributor's by now.

    Args:
        spec: The stored answers.
        snapshot: The checkout, with the rendered files in it.
        head: Where the checkout stands.
        ruff: The formatter, or None for our own.
        register_too: Register the model as well.
        fresh: Copier has rendered the files a moment ago, as it does in an update too, before it puts the contributor's
            edits back: then they are all completed like new ones.
    """
    first = read_manifest(snapshot, spec.name) is None
    if first:
        check_spec(spec, snapshot, rendered=True)
    files = owned_texts(spec, snapshot)
    if not files:
        raise BadInput(
            f"no file of {spec.name} is on disk", hint=f"render them first: scaffold-model --name {spec.name}"
        )
    if not first:
        # What lies in the state folder is the contributor's: no render overwrites it, and nothing formats it.
        files = {path: text for path, text in files.items() if spec.owns(path)}
    if first or fresh:
        texts = finished(spec, snapshot, files, ruff)
        if first:
            check_needs(snapshot, texts, spec.new_classes)
    else:
        from .copied import fill, unfilled

        texts = {
            path: fill(text, path, snapshot, own=tuple(files)) if path.endswith(".py") and unfilled(text) else text
            for path, text in files.items()
        }
        changed = {path: text for path, text in texts.items() if text != files[path]}
        texts = {**texts, **formatted(spec, changed, ruff)}
    edits = tuple(Edit(path, files[path], text) for path, text in sorted(texts.items()) if text != files[path])
    plan = extend_and_register(spec, snapshot, Plan(edits=edits), ruff, register_too=register_too)
    return _with_manifest(spec, snapshot, head, plan, texts) if first or fresh else plan


def extend_and_register(
    spec: ModelSpec, snapshot: Snapshot, plan: Plan, ruff: str | None, *, register_too: bool = True
) -> Plan:
    """``plan`` with all that the answers ask for beside the model's own files; what is there already is left alone."""
    if spec.lora == "yes":
        from .lora import Wanted, add_lora_mixin

        loads = spec.single_file == "yes" and spec.has_standard
        wanted = Wanted(spec.name, spec.class_prefix, spec.transformer_class, spec.title, loads)
        edits = tuple(add_lora_mixin(snapshot.overlaid(plan.overlay()), wanted))
        entry = Registered(
            "lora_mixin", f"{spec.class_prefix}LoraLoaderMixin", "src/diffusers/loaders/lora_pipeline.py"
        )
        plan = merge_plans(plan, Plan(edits=edits, entries=(entry,) if edits else ()))
    if spec.single_file == "yes":
        from .single_file_utils import UTILS, add_single_file, conversion_name

        edits = tuple(add_single_file(snapshot.overlaid(plan.overlay()), spec, ruff))
        entries = (
            Registered("single_file_conversion", conversion_name(spec.name), UTILS),
            Registered("single_file_detection", spec.key, UTILS),
        )
        plan = merge_plans(plan, Plan(edits=edits, entries=entries if edits else ()))
    also = (
        *(("lora_docs",) if spec.lora == "yes" else ()),
        *(("single_file",) if spec.single_file == "yes" else ()),
        *(("auto_pipeline",) if spec.auto_pipeline == "yes" else ()),
    )
    if register_too or also:
        from .registration import register

        registered = register(snapshot.overlaid(plan.overlay()), also=also, only={*spec.new_classes})
        if not register_too:
            registered = _part(registered, also)
        # Notices are about classes whose place can not be told from the code; those of a scaffold are known.
        plan = merge_plans(plan, replace(registered, notices=()))
    return replace(plan, next_steps=next_steps(spec, registered=register_too))


def _part(plan: Plan, registries: Collection[str]) -> Plan:
    """What a registration does in some registries, which share no file with the others.

    The optional registries follow from the answers, which `register` does not look at, so that completing fills them.
    """
    entries = tuple(entry for entry in plan.entries if entry.registry in registries)
    paths = {entry.path for entry in entries}
    return Plan(edits=tuple(edit for edit in plan.edits if edit.path in paths), entries=entries)


def _with_manifest(spec: ModelSpec, snapshot: Snapshot, head: Head, plan: Plan, texts: Mapping[str, str]) -> Plan:
    manifest = read_manifest(snapshot, spec.name) or new_manifest(head)
    manifest.record_created(texts)
    manifest.record_entries(plan.entries)
    path = manifest_path(spec.name)
    before = snapshot.read(path)
    if before is None:
        return replace(plan, new_files=(*plan.new_files, NewFile(path, manifest.text())))
    return replace(plan, edits=(*plan.edits, Edit(path, before, manifest.text())))


def record_registered(snapshot: Snapshot, plan: Plan) -> Plan:
    """A registration plan with the manifests of the scaffolds whose classes it registers brought up to date."""
    edits = list(plan.edits)
    for name in snapshot.folders(".scaffold"):
        manifest = read_manifest(snapshot, name)
        if manifest is None:
            continue
        spec = read_spec(snapshot, name)
        mine = [entry for entry in plan.entries if spec.is_entry(entry.object)]
        path = manifest_path(name)
        fewer = manifest.forget_entries({edit.path: edit.after for edit in plan.edits})
        if manifest.record_entries(mine) or fewer:
            edits.append(Edit(path, snapshot.read(path) or "", manifest.text()))
    return replace(plan, edits=tuple(edits))


def next_steps(spec: ModelSpec, *, registered: bool) -> tuple[str, ...]:
    """What the contributor does next, one line each."""
    steps = [] if registered else ["scaffold-model register"]
    if spec.tests != "none":
        steps += [
            f"scaffold-model tiny {spec.name}   # the tiny repositories that the tests load, into the local Hub cache",
            f"scaffold-model verify {spec.name}   # the checkout's own gates and the new tests",
        ]
    steps.append(f"scaffold-model todo {spec.name}   # the places to port")
    if spec.has_modular and spec.tests != "none":
        steps.append(
            f"publish {spec.tiny_repo} before the pull request: until then the modular test is red in upstream CI "
            f"(`scaffold-model tiny {spec.name}` says how)"
        )
    return tuple(steps)
