"""The tiny repositories that the generated tests load, built into the local Hub cache.

The tokenizers are written here (`tiny_tokenizers`); the pipeline is assembled by the checkout's own Python
(`tiny_runner`) from the components that the model's recipe, ``.scaffold/<name>/tiny.py``, makes.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BadInput, ScaffoldError
from .hubcache import Placed, find, hub_cache, place, read_folder
from .pythons import require_modules, subprocess_env
from .snapshot import Snapshot
from .spec import ModelSpec
from .tiny_autoencoders import TINY_AUDIO
from .tiny_tokenizers import REPO_OF_TEXT_ENCODER, TOKENIZER_REPOS

RUNNER = Path(__file__).with_name("tiny_runner.py")

#: What diffusers, its pipelines and the runner import, with the package that installs it.
PACKAGES = {
    "torch": "torch",
    "transformers": "transformers",
    "safetensors": "safetensors",
    "huggingface_hub": "huggingface_hub",
    "numpy": "numpy",
    "PIL": "pillow",
    "requests": "requests",
    "regex": "regex",
    "filelock": "filelock",
}

Progress = Callable[[str], None]


class RunnerFailed(ScaffoldError):
    """The subprocess that builds or runs the tiny pipeline ended with an error."""


@dataclass(frozen=True)
class TinyResult:
    """What `build` did.

    Attributes:
        placed: Every repository, and what became of it.
        publish: The command that publishes the pipeline's repository.
        notices: What else there is to know, one sentence each.
    """

    placed: tuple[Placed, ...]
    publish: str
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Generated:
    """What the tiny pipeline made.

    Attributes:
        path: The file.
        what: What is in it, in words.
    """

    path: Path
    what: str


#: What the files of each modality may be called, and what a pipeline calls its output.
_SUFFIXES = {"image": (".png", ".jpg", ".jpeg", ".webp"), "video": (".gif", ".webp"), "audio": (".wav",)}
_OUTPUTS = {"image": "images", "video": "videos", "audio": "audios"}

#: What a task starts from beside the prompt.
_GIVEN = {"i2i": ("image",), "inpaint": ("image", "mask_image"), "i2v": ("image",), "v2v": ("video",)}


def tokenizer_repos(snapshot: Snapshot, spec: ModelSpec) -> tuple[str, ...]:
    """The tokenizer repositories that the model's tests name, and the one that its text encoder needs."""
    tests = (path for place in spec.owned_places() if place.startswith("tests/") for path in _files(snapshot, place))
    text = "".join(snapshot.read(path) or "" for path in tests)
    needed = REPO_OF_TEXT_ENCODER[spec.text_encoder]
    return tuple(repo for repo in TOKENIZER_REPOS if repo == needed or f'"{repo}"' in text)


def _files(snapshot: Snapshot, place: str) -> list[str]:
    return [place] if snapshot.exists(place) else list(snapshot.walk(place))


def needed_repos(snapshot: Snapshot, spec: ModelSpec) -> tuple[str, ...]:
    """Every repository that the model's tests load: tokenizers, and with a modular pipeline the tiny pipeline."""
    return (*tokenizer_repos(snapshot, spec), *((spec.tiny_repo,) if spec.has_modular else ()))


def build(
    checkout: Path,
    spec: ModelSpec,
    python: str,
    progress: Progress,
    *,
    cache: Path | None = None,
    force: bool = False,
) -> TinyResult:
    """Build the tokenizers and the tiny pipeline into the local Hub cache.

    Args:
        checkout: The root folder of the checkout.
        spec: The model.
        python: The interpreter with torch and transformers.
        progress: Is told of each step.
        cache: The Hub cache; the one that huggingface_hub would use by default.
        force: Also take the place of repositories that were downloaded.

    Raises:
        BadInput: The recipe or a package is missing.
        RunnerFailed: The model's own code failed.
    """
    cache = hub_cache() if cache is None else cache
    recipe = checkout / spec.state_folder / "tiny.py"
    if not recipe.is_file():
        raise BadInput(
            "is missing: it makes the components of the tiny pipeline",
            path=f"{spec.state_folder}/tiny.py",
            hint="run in the checkout that the model was made in; the folder .scaffold/ is not part of commits",
        )
    require_modules(python, PACKAGES, "the tiny pipeline")
    placed: list[Placed] = []
    for repo in tokenizer_repos(Snapshot(checkout), spec):
        files = {name: text.encode() for name, text in TOKENIZER_REPOS[repo]().items()}
        placed.append(place(cache, repo, files, force=force))
        progress(_sentence(placed[-1]))
    kind = _kind(spec)
    progress(f"building the tiny {kind} pipeline of {spec.title} with {python}")
    with tempfile.TemporaryDirectory(prefix="scaffold-model-tiny-") as temporary:
        tokenizer, out = Path(temporary, "tokenizer"), Path(temporary, "pipeline")
        tokenizer.mkdir()
        for name, text in TOKENIZER_REPOS[REPO_OF_TEXT_ENCODER[spec.text_encoder]]().items():
            (tokenizer / name).write_text(text, encoding="utf-8")
        request = {"action": "build", "recipe": str(recipe), "tokenizer": str(tokenizer), "out": str(out)}
        _run(checkout, spec, python, cache, request)
        placed.append(place(cache, spec.tiny_repo, _saved(out, temporary), force=force))
    progress(_sentence(placed[-1]))
    return TinyResult(
        tuple(placed), f"hf upload {spec.tiny_repo} {shlex.quote(str(placed[-1].folder))}", _notices(placed)
    )


def _saved(out: Path, temporary: str) -> dict[str, bytes]:
    """What the runner saved; nothing of it may name the folder that it was made in, or it would not load elsewhere."""
    files = read_folder(out)
    for path, content in files.items():
        if temporary.encode() in content:
            raise RunnerFailed(f"the saved pipeline names the temporary folder in {path}", hint="please report it")
    return files


def generate(
    checkout: Path,
    spec: ModelSpec,
    python: str,
    target: Path,
    progress: Progress,
    *,
    cache: Path | None = None,
    prompt: str = "a painting of a squirrel eating a burger",
    steps: int = 4,
) -> Generated:
    """Run the tiny pipeline of the model's first task from its inputs to its output and save that.

    Builds the repositories where they are missing.

    Raises:
        BadInput: A package is missing, or the output can not be written.
        RunnerFailed: The pipeline failed, or what it made holds one value only.
    """
    cache = hub_cache() if cache is None else cache
    target = target.absolute()
    if target.suffix.lower() not in _SUFFIXES[spec.modality]:
        raise BadInput(
            f"{target.name} is no name of a file for {spec.modality}",
            hint=f"give a file name that ends with {_SUFFIXES[spec.modality][0]}",
        )
    if not target.parent.is_dir():
        raise BadInput(f"the folder {target.parent} does not exist", hint="make it first, or give another file name")
    require_modules(python, PACKAGES, "the tiny pipeline")
    if find(cache, spec.tiny_repo) is None:
        build(checkout, spec, python, progress, cache=cache)
    progress(f"running the tiny {_kind(spec)} pipeline: {steps} steps")
    request = {"action": "generate", "out": str(target), **_inputs(spec, prompt, steps)}
    result = _run(checkout, spec, python, cache, request)
    if result["values"] < 2:
        raise RunnerFailed(
            f"the tiny pipeline ran, but there is one single value in {target}",
            hint="look for not-a-number values in the latents",
        )
    return Generated(target, result["what"])


def _inputs(spec: ModelSpec, prompt: str, steps: int) -> dict[str, Any]:
    """What the runner has to know of the first task: some 64 pixels a side, or 64 latent frames of audio."""
    multiple = 2 * spec.vae_tiny_spatial
    side = -(-64 // multiple) * multiple
    frames = 2 * spec.vae_tiny_temporal + 1
    arguments: dict[str, Any] = {"prompt": prompt, "num_inference_steps": steps}
    if spec.modality == "audio":
        arguments.update(duration=64 * spec.vae_tiny_spatial / TINY_AUDIO["sampling_rate"], output_type="pt")
    else:
        arguments.update(height=side, width=side, output_type="pil")
    if spec.task[0] in ("t2v", "i2v"):
        arguments["num_frames"] = frames
    return {
        "arguments": arguments,
        "given": _GIVEN.get(spec.task[0], ()),
        "side": side,
        "frames": frames,
        "output": _OUTPUTS[spec.modality],
    }


def _kind(spec: ModelSpec) -> str:
    """Where a model has both formats, the tiny repository holds the modular one, which is the one that a test loads."""
    return "modular" if spec.has_modular else "standard"


def _run(checkout: Path, spec: ModelSpec, python: str, cache: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Run the runner on one request and read its result; the output of a failure is kept beside the model's answers."""
    log = f"{spec.state_folder}/tiny.log"
    with tempfile.TemporaryDirectory(prefix="scaffold-model-run-") as folder:
        result = Path(folder, "result.json")
        whole = {
            **request,
            "kind": _kind(spec),
            "checkout": str(checkout),
            "repo": spec.tiny_repo,
            "result": str(result),
        }
        asked = Path(folder, "request.json")
        asked.write_text(json.dumps(whole), encoding="utf-8")
        script = Path(folder, RUNNER.name)
        script.write_text(RUNNER.read_text(encoding="utf-8"), encoding="utf-8")
        extra = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(
            [python, str(script), str(asked)],
            cwd=folder,
            env=subprocess_env(python, checkout, extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        (checkout / log).unlink(missing_ok=True)
        if done.returncode or not result.is_file():
            (checkout / log).parent.mkdir(parents=True, exist_ok=True)
            (checkout / log).write_text(done.stdout, encoding="utf-8")
            lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
            reason = lines[-1] if lines else f"exit code {done.returncode}"
            what = "built" if request["action"] == "build" else "run"
            raise RunnerFailed(
                f"the tiny pipeline could not be {what}: {reason}", hint=f"the whole output is in {log}"
            )
        answer: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return answer


def _sentence(placed: Placed) -> str:
    return {
        "created": f"{placed.repo}: built",
        "replaced": f"{placed.repo}: built anew",
        "unchanged": f"{placed.repo}: up to date",
        "kept": f"{placed.repo}: a downloaded one is in the cache and was kept",
    }[placed.status]


def _notices(placed: list[Placed]) -> tuple[str, ...]:
    notices: list[str] = []
    kept = [one.repo for one in placed if one.status == "kept"]
    if kept:
        notices.append(f"kept as downloaded, not built: {', '.join(kept)}; --force builds them all the same")
    notices.append(
        f"run the tests with HF_HUB_OFFLINE=1 until {placed[-1].repo} is published: online, the Hub is asked first"
    )
    return tuple(notices)
