"""A practice checkout, made of the released diffusers sources, for trying and for tests without a clone.

It is a git repository with one commit: ``src/diffusers`` from the release, and a minimal docs tree of our own. The
release holds no tests, no scripts and no gates.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from .errors import BadInput, ScaffoldError

Progress = Callable[[str], None]

ABSENT = (
    "a practice checkout has no gates (Makefile, utils/) and no house test mixins: models, pipelines and docs are laid "
    "out and registered, tests are left out"
)

#: The table of contents: sections, pages and their titles, in the shape of the real one. One page a section is enough,
#: since it shows where the section is.
_TOCTREE = """\
- sections:
  - local: index
    title: Diffusers
  title: Get started
- isExpanded: false
  sections:
  - sections:
    - local: api/loaders/lora
      title: LoRA
    title: Loaders
  - sections:
    - local: api/models/overview
      title: Overview
    - sections:
      - local: api/models/flux_transformer
        title: FluxTransformer2DModel
      title: Transformers
    - sections:
      - local: api/models/autoencoderkl
        title: AutoencoderKL
      title: VAEs
    title: Models
  - sections:
    - local: api/pipelines/overview
      title: Overview
    - sections:
      - local: api/pipelines/stable_audio
        title: Stable Audio
      title: Audio
    - sections:
      - local: api/pipelines/flux
        title: Flux
      title: Image
    - sections:
      - local: api/pipelines/wan
        title: Wan
      title: Video
    title: Pipelines
  - sections:
    - local: api/schedulers/overview
      title: Overview
    - local: api/schedulers/flow_match_euler_discrete
      title: FlowMatchEulerDiscreteScheduler
    title: Schedulers
  title: API
"""

#: The pages that the table of contents names: the title, then the class that the page documents, if it does.
_PAGES = {
    "index": ("Diffusers", ""),
    "api/loaders/lora": ("LoRA", "loaders.lora_pipeline.FluxLoraLoaderMixin"),
    "api/models/overview": ("Models", ""),
    "api/models/flux_transformer": ("FluxTransformer2DModel", "FluxTransformer2DModel"),
    "api/models/autoencoderkl": ("AutoencoderKL", "AutoencoderKL"),
    "api/pipelines/overview": ("Pipelines", ""),
    "api/pipelines/stable_audio": ("Stable Audio", "StableAudioPipeline"),
    "api/pipelines/flux": ("Flux", "FluxPipeline"),
    "api/pipelines/wan": ("Wan", "WanPipeline"),
    "api/schedulers/overview": ("Schedulers", ""),
    "api/schedulers/flow_match_euler_discrete": (
        "FlowMatchEulerDiscreteScheduler",
        "FlowMatchEulerDiscreteScheduler",
    ),
}

_README = """\
# A practice checkout

`src/diffusers` is the released package diffusers {version}; its licence is in `LICENSE`. The docs are placeholders.
There are no tests, scripts or gates here, so nothing of this can become a pull request: clone the real repository for that.
"""

_WHEEL = re.compile(r"diffusers-(?P<version>[0-9][^-]*)-py3-none-any\.whl")


class NoRelease(ScaffoldError):
    """The released sources can not be had: no pip, no network, no such version."""


@dataclass(frozen=True)
class Practice:
    """A practice checkout that was made.

    Attributes:
        directory: Where it is.
        version: The release.
        commit: Its one commit; the same release gives the same one everywhere.
        notices: What is absent, and whether an older release was taken because there was no network.
    """

    directory: Path
    version: str
    commit: str
    notices: tuple[str, ...]


def practice(
    directory: Path, progress: Progress, version: str | None = None, *, cache: Path | None = None
) -> Practice:
    """Make a practice checkout in ``directory``, which must not exist or be empty.

    Args:
        directory: The new folder.
        progress: Is told of each step.
        version: The release; by default the newest, or, without a network, the newest that was downloaded before.
        cache: Where downloaded releases are kept.

    Raises:
        BadInput: The folder is not empty, or can not be written.
        NoRelease: The release can not be had.
    """
    directory = directory.absolute()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise BadInput(f"{directory} exists and is not an empty folder", hint="give the name of a new folder")
    if version is not None and not re.fullmatch(r"[0-9]+(\.[0-9A-Za-z]+)*", version):
        raise BadInput(f"{version!r} is no version of diffusers", hint="give one such as 0.40.0")
    if shutil.which("git") is None:
        raise BadInput("git was not found", hint="install git and run again")
    wheel, notices = wheel_of(wheel_cache() if cache is None else cache, version, progress)
    progress(f"unpacking diffusers {_version(wheel)} into {directory}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        # Made beside the target and moved there when it is whole, so that a run that is stopped leaves nothing half.
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}-") as temporary:
            made = Path(temporary, "checkout")
            date = lay_out(wheel, made)
            commit = _commit(made, f"diffusers {_version(wheel)}, as released", date)
            if directory.exists():
                directory.rmdir()
            made.rename(directory)
    except OSError as error:
        raise BadInput(f"{directory} can not be written ({error.strerror})", hint="give another folder") from None
    return Practice(directory, _version(wheel), commit, (*notices, ABSENT))


def wheel_cache() -> Path:
    """``~/.cache/scaffold-model/wheels``, or below ``XDG_CACHE_HOME``."""
    return Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache"), "scaffold-model", "wheels")


def wheel_of(cache: Path, version: str | None, progress: Progress) -> tuple[Path, tuple[str, ...]]:
    """The wheel of a release, from the cache or downloaded into it."""
    cached = sorted((path for path in cache.glob("*.whl") if _WHEEL.fullmatch(path.name)), key=_order)
    if version is not None:
        for path in cached:
            if _version(path) == version:
                return path, ()
    try:
        progress(f"downloading diffusers {version or '(the newest release)'}")
        return _download(cache, version), ()
    except NoRelease as error:
        if version is None and cached:
            newest = _version(cached[-1])
            return cached[-1], (f"{error.message}; the newest release downloaded before is used, {newest}",)
        raise


def _version(wheel: Path) -> str:
    match = _WHEEL.fullmatch(wheel.name)
    if match is None:
        raise NoRelease(
            f"{wheel.name} is no wheel of diffusers", hint="report it, with the version that you asked for"
        )
    return match["version"]


def _order(wheel: Path) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", _version(wheel))]


def _download(cache: Path, version: str | None) -> Path:
    """Have pip fetch the wheel; its metadata and its dependencies are not looked at."""
    command = [_pip(), "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "20"]
    with tempfile.TemporaryDirectory(prefix="scaffold-model-wheel-") as folder:
        command += ["--dest", folder, f"diffusers=={version}" if version else "diffusers"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        found = list(Path(folder).glob("*.whl"))
        if done.returncode or len(found) != 1:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
            lines = errors or done.stderr.strip().splitlines() or ["pip said nothing"]
            reason = lines[-1].removeprefix("ERROR: ")
            raise NoRelease(
                f"pip could not download diffusers{f' {version}' if version else ''}: {reason}",
                hint="check the network and the version; a release that was downloaded before needs no network",
            )
        _version(found[0])
        try:
            cache.mkdir(parents=True, exist_ok=True)
            # Copied under another name first: nobody must find half of a file in the cache.
            partial = cache / f".{found[0].name}.{os.getpid()}"
            shutil.copyfile(found[0], partial)
            return partial.replace(cache / found[0].name)
        except OSError as error:
            raise BadInput(
                f"the cache {cache} can not be written ({error.strerror})",
                hint="set XDG_CACHE_HOME to a folder of yours",
            ) from None


def _pip() -> str:
    """A Python that has pip: ours, or the one on ``PATH``, since an isolated environment often has none."""
    for python in (sys.executable, shutil.which("python3"), shutil.which("python")):
        if (
            python
            and subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
        ):
            return python
    raise NoRelease("no Python with pip was found", hint="`python -m ensurepip`, or run inside a clone of diffusers")


def lay_out(wheel: Path, root: Path) -> datetime:
    """Write the files of a practice checkout; returns the date of the newest file of the release."""
    newest = (1980, 1, 1, 0, 0, 0)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                path = _place(entry.filename)
                if path is None or entry.is_dir():
                    continue
                target = root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))
                newest = max(newest, entry.date_time)
    except (zipfile.BadZipFile, EOFError) as error:
        wheel.unlink(missing_ok=True)
        raise NoRelease(
            f"{wheel.name} was damaged ({error}) and is removed from the cache", hint="run again"
        ) from None
    for name, text in own_files(_version(wheel)).items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
    return datetime(*newest, tzinfo=timezone.utc)


def _place(name: str) -> str | None:
    """Where a file of the wheel goes: the package below ``src/``, the licence to the top, the rest nowhere."""
    if name.startswith("diffusers/") and ".." not in name.split("/"):
        return f"src/{name}"
    return "LICENSE" if re.fullmatch(r"diffusers-[^/]+\.dist-info/(licenses/)?LICENSE", name) else None


def own_files(version: str) -> dict[str, str]:
    """The files of a practice checkout that are not of the release, by path."""
    files = {
        ".gitignore": "__pycache__/\n*.pyc\n",
        "README.md": _README.format(version=version),
        "docs/source/en/_toctree.yml": _TOCTREE,
    }
    for page, (title, documents) in _PAGES.items():
        text = f"# {title}\n"
        if page == "api/loaders/lora":
            name = documents.rpartition(".")[2]
            text += f"\nEach mixin loads, saves and fuses the LoRA weights of one family.\n\n- [`{name}`] is that of Flux.\n"
        if documents:
            text += f"\n## {documents.rpartition('.')[2]}\n\n[[autodoc]] {documents}\n"
        files[f"docs/source/en/{page}.md"] = text
    return files


def _commit(root: Path, message: str, date: datetime) -> str:
    """One commit of everything, with a fixed author and the date of the release, so that its hash is always the same."""
    stamp = date.isoformat()
    who = {"NAME": "scaffold-model practice", "EMAIL": "practice@scaffold-model.invalid", "DATE": stamp}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    # Settings of the user would change the files (line ends), the hash (a signature) or run hooks.
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise BadInput(f"git {arguments[0]} failed in {root}: {reason}", hint="mend that and run again")
        return done.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    git("add", "--all")
    git("commit", "--quiet", "--message", message)
    return git("rev-parse", "HEAD")
