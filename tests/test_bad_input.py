"""Every bad input, through both doors: one line that says what, where and what to do, and not a byte changed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT, clone_of, git_status, run_command

from scaffold_model.checkout import Head
from scaffold_model.errors import BrokenFile
from scaffold_model.preflight import check_spec, fitted_spec
from scaffold_model.registration import CORE
from scaffold_model.registries.dummy_objects import COMMON
from scaffold_model.snapshot import Snapshot

pytestmark = pytest.mark.checkout

MODELS_INIT = "src/diffusers/models/__init__.py"
ROOT_INIT = "src/diffusers/__init__.py"
MAPPING = "src/diffusers/modular_pipelines/modular_pipeline.py"


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        answers: Question -> answer.
        message: What the line must hold, parts in order.
        spoil: What is done to the checkout beforehand.
        place: ``checkout``, or a folder that is none.
    """

    answers: dict[str, str]
    message: tuple[str, ...]
    spoil: Callable[[Path], None] | None = None
    place: str = "checkout"


def replace(path: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        text = (root / path).read_text(encoding="utf-8")
        assert old in text
        (root / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    return spoil


def write(path: str, data: bytes = b"\n") -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    return spoil


def conflict(root: Path) -> None:
    text = (root / MODELS_INIT).read_text(encoding="utf-8")
    line = '    _import_structure["transformers.transformer_z_image"] = ["ZImageTransformer2DModel"]\n'
    assert line in text
    marked = f"<<<<<<< HEAD\n{line}=======\n{line}>>>>>>> other\n"
    (root / MODELS_INIT).write_text(text.replace(line, marked), encoding="utf-8")


def not_utf8(root: Path) -> None:
    path = root / MODELS_INIT
    path.write_bytes(path.read_bytes() + b"# caf\xe9\n")


def read_only(root: Path) -> None:
    (root / ROOT_INIT).chmod(0o444)


COPIER = [sys.executable, "-m", "copier", "copy", "--trust", "--defaults", "--quiet", "--vcs-ref=HEAD"]
FOO = {"name": "foo"}
SINGLE_FILE = {**FOO, "single_file": "yes", "hub_repo": "org/foo"}
SINGLE_FILE_UTILS = "src/diffusers/loaders/single_file_utils.py"
IDENTIFIER = ("name", "must be a snake_case identifier")
CASES: dict[str, Case] = {
    "no checkout": Case(FOO, ("is not in a checkout of diffusers", "--checkout DIR"), place="empty"),
    "another project": Case(FOO, ("is a git repository, but not one of diffusers", "--checkout DIR"), place="other"),
    "keyword": Case({"name": "class"}, ("name", "is a Python keyword", "choose another name")),
    "device of Windows": Case({"name": "aux"}, ("name", "is a device on Windows", "choose another name")),
    "path": Case({"name": "../foo"}, IDENTIFIER),
    "empty": Case({"name": ""}, IDENTIFIER),
    "upper case": Case({"name": "Foo"}, IDENTIFIER),
    "non-ASCII": Case({"name": "fóo"}, IDENTIFIER),
    "existing model": Case({"name": "z_image"}, ("exists already", "choose another")),
    "existing package": Case({"name": "controlnet"}, ("exists already", "choose another")),
    "existing class": Case(
        {**FOO, "class_prefix": "Flux"},
        ("transformer_flux.py", "class FluxTransformer2DModel exists already (line ", "--class-prefix"),
    ),
    "existing test": Case(
        FOO, ("exists already", "choose another"), write("tests/pipelines/foo/test_pipeline_foo.py")
    ),
    "existing docs page": Case(
        FOO, ("exists already", "choose another"), write("docs/source/en/api/pipelines/foo.md")
    ),
    "unknown autoencoder": Case(
        {**FOO, "vae": "AutoEncoderKL"},
        ("--vae AutoEncoderKL is no autoencoder of this checkout", "did you mean", "AutoencoderKL"),
    ),
    "autoencoder of another kind": Case(
        {**FOO, "vae": "AutoencoderKLWan"},
        (
            "autoencoder_kl_wan.py",
            "--vae AutoencoderKLWan is an autoencoder for video, and --modality is image",
            "name one for image, such as AutoencoderKL",
        ),
    ),
    "unfit autoencoder": Case(
        {**FOO, "vae": "AutoencoderRAE"},
        ("autoencoder_rae.py", "--vae AutoencoderRAE can not be used: ", "to one size", "leave --vae out"),
    ),
    "unknown scheduler": Case(
        {**FOO, "scheduler": "FlowMatchEulerScheduler"},
        (
            "--scheduler FlowMatchEulerScheduler is no scheduler of this checkout",
            "did you mean",
            "FlowMatchEulerDiscreteScheduler",
        ),
    ),
    "unfit scheduler": Case(
        {**FOO, "scheduler": "DDIMScheduler"},
        ("scheduling_ddim.py", "--scheduler DDIMScheduler can not be used: ", "no flow matching"),
    ),
    "merge conflict": Case(FOO, (MODELS_INIT, "merge-conflict markers in line ", "settle the merge"), conflict),
    "syntax error": Case(
        FOO,
        (MODELS_INIT, "syntax error", "line "),
        replace(MODELS_INIT, "_import_structure = {}", "_import_structure = {"),
    ),
    "not UTF-8": Case(FOO, (MODELS_INIT, "not valid UTF-8", "save the file as UTF-8"), not_utf8),
    "read-only": Case(FOO, (ROOT_INIT, "is read-only, mode 0444", "chmod u+w"), read_only),
    "missing anchor": Case(
        FOO,
        (MAPPING, "MODULAR_PIPELINE_MAPPING was not found", "restore"),
        replace(MAPPING, "MODULAR_PIPELINE_MAPPING = ", "MODULAR_PIPELINE_TABLE = "),
    ),
    "missing source of a copy": Case(
        FOO,
        ("retrieve_timesteps",),
        replace(
            "src/diffusers/pipelines/stable_diffusion/pipeline_stable_diffusion.py",
            "def retrieve_timesteps(",
            "def retrieve_timestep(",
        ),
    ),
    "single file without a repository": Case(
        {**FOO, "single_file": "yes"}, ("single-file", "the configuration of a checkpoint")
    ),
    "single file of a layout that tells another model": Case(
        SINGLE_FILE,
        (SINGLE_FILE_UTILS, "blocks.0.img_mod.1.weight tells the checkpoints of hidream", "give hidream a key in"),
        replace(
            SINGLE_FILE_UTILS,
            '"hidream": "double_stream_blocks.0.block.adaLN_modulation.1.bias"',
            '"hidream": "blocks.0.img_mod.1.weight"',
        ),
    ),
    "single file without a detection": Case(
        SINGLE_FILE,
        (SINGLE_FILE_UTILS, "in infer_diffusers_model_type was not found", "restore"),
        replace(SINGLE_FILE_UTILS, "def infer_diffusers_model_type(", "def infer_model_type("),
    ),
    "auto pipeline of a modular model": Case({**FOO, "auto_pipeline": "yes"}, ("needs a standard pipeline class",)),
    "auto pipeline of a task that the checkout has no mapping for": Case(
        {**FOO, "format": "standard", "modality": "video", "auto_pipeline": "yes"},
        ("src/diffusers/pipelines/auto_pipeline.py", "no mapping for --task t2v"),
        replace("src/diffusers/pipelines/auto_pipeline.py", "AUTO_TEXT2VIDEO_", "AUTO_TEXT2FILM_"),
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def place_of(case: Case, pristine: Path, tmp_path: Path) -> Path:
    root = tmp_path / "place"
    if case.place == "checkout":
        clone_of(pristine, root)
    else:
        root.mkdir()
        (root / "setup.py").write_text("# another project\n")
        if case.place == "other":
            subprocess.run(["git", "init", "-q", str(root)], check=True)
    if case.spoil:
        case.spoil(root)
    return root


def state(root: Path) -> tuple[str, dict[str, str]]:
    """What git says, and the hash of everything that git does not know or that differs from HEAD."""
    if not (root / ".git").exists():
        return "", {str(path): path.read_text() if path.is_file() else "" for path in root.rglob("*")}
    status = git_status(root)
    hashes = {
        line[3:]: hashlib.sha256((root / line[3:]).read_bytes()).hexdigest()
        for line in status.splitlines()
        if (root / line[3:]).is_file()
    }
    return status + (root / ".git/info/exclude").read_text(), hashes


def assert_line(case: Case, output: str) -> None:
    at = 0
    for part in case.message:
        found = output.find(part, at)
        assert found >= 0, f"{part!r} is not in {output!r}, or in another order"
        at = found


def test_the_command_refuses(case: Case, pristine: Path, tmp_path: Path) -> None:
    root = place_of(case, pristine, tmp_path)
    before = state(root)
    arguments: list[str] = []
    for question, answer in case.answers.items():
        flag = "--" + (answer if question == "format" else question).replace("_", "-")
        arguments += [flag] if answer == "yes" or question == "format" else [flag, answer]
    done = run_command(*arguments, cwd=root)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert_line(case, done.stderr)
    assert state(root) == before


def test_copier_refuses(case: Case, pristine: Path, tmp_path: Path) -> None:
    root = place_of(case, pristine, tmp_path)
    before = state(root)
    data = [f"--data={question}={answer}" for question, answer in case.answers.items()]
    done = subprocess.run(
        [*COPIER, *data, str(ROOT), str(root)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode != 0, done.stderr
    assert_line(case, done.stderr)
    assert state(root) == before


# Every registry that a scaffold with all options edits.
REGISTRIES = (
    ROOT_INIT,
    MODELS_INIT,
    "src/diffusers/models/transformers/__init__.py",
    "src/diffusers/schedulers/__init__.py",
    "src/diffusers/pipelines/__init__.py",
    "src/diffusers/modular_pipelines/__init__.py",
    MAPPING,
    "src/diffusers/utils/dummy_pt_objects.py",
    "src/diffusers/utils/dummy_torch_and_transformers_objects.py",
    "docs/source/en/_toctree.yml",
    "src/diffusers/loaders/__init__.py",
    "src/diffusers/loaders/lora_pipeline.py",
    "docs/source/en/api/loaders/lora.md",
    "src/diffusers/pipelines/auto_pipeline.py",
    "src/diffusers/loaders/single_file_model.py",
    SINGLE_FILE_UTILS,
)
ALL_OPTIONS = {**SINGLE_FILE, "format": "both", "lora": "yes", "auto_pipeline": "yes", "scheduler": "new"}


def in_a_merge(text: str) -> str:
    middle = text.index("\n", len(text) // 2) + 1
    return f"{text[:middle]}<<<<<<< HEAD\n=======\n>>>>>>> other\n{text[middle:]}"


@pytest.mark.parametrize("path", REGISTRIES)
def test_a_broken_registry_is_refused_through_both_doors(path: str, checkout: Path, tmp_path: Path) -> None:
    """Of each registry: in a merge, with a syntax error, emptied, and gone; the line names the file where it is there."""
    target = checkout / path
    text = target.read_text(encoding="utf-8")
    spoiled: dict[str, str | None] = {"merge": in_a_merge(text), "empty": "", "gone": None}
    if not path.endswith(".md"):
        spoiled["syntax"] = text + "\n(\n"
    (tmp_path / "answers.yml").write_text("".join(f"{key}: {value!r}\n" for key, value in ALL_OPTIONS.items()))
    for kind, broken in spoiled.items():
        if broken is None:
            target.unlink()
        else:
            target.write_text(broken, encoding="utf-8")
        before = state(checkout)
        done = run_command("--answers", str(tmp_path / "answers.yml"), cwd=checkout)
        assert done.returncode == 2, (kind, done.stderr, done.stdout)
        assert len(done.stderr.splitlines()) == 1, (kind, done.stderr)
        if kind in ("merge", "syntax"):
            assert done.stderr.startswith(f"scaffold-model: {path}: "), (kind, done.stderr)
        assert state(checkout) == before, kind
        if kind == "merge":
            data = [f"--data={question}={answer}" for question, answer in ALL_OPTIONS.items()]
            copied = subprocess.run(
                [*COPIER, *data, str(ROOT), "."],
                cwd=checkout,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            assert copied.returncode != 0
            assert f"scaffold-model: {path}: " in copied.stderr
            assert state(checkout) == before
        target.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("path", [path for path in CORE if path not in COMMON])
@pytest.mark.parametrize("spoiled", [in_a_merge, lambda text: f"{text}\n(\n"], ids=["merge", "syntax"])
def test_what_every_run_reads_is_refused_before_anything_is_rendered(
    path: str, spoiled: Callable[[str], str], pristine: Path
) -> None:
    whole = Snapshot(pristine)
    spec = fitted_spec({"name": "foo", "format": "both"}, whole, Head("0" * 40, "2026", "main"))
    check_spec(spec, whole)
    with pytest.raises(BrokenFile) as refused:
        check_spec(spec, whole.overlaid({path: spoiled(whole.read(path) or "")}))
    assert refused.value.path == path
