"""`ModelSpec`: the validated answers, and every name that is derived from them, derived once.

Which combinations make no sense is data here (`COMBINATIONS`), as the values are in `questions`, used by the command
line, by `complete` and by the tests, which compare it with the validators of ``copier.yml``.
"""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from .errors import BadInput
from .questions import CHOICES, DIMENSIONS, TASK_NAMES, TASKS, VAES, default_traits
from .stored_code import keyword_arguments, size_of_autoencoder

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

#: No file or folder can have such a name on Windows, with any ending.
_DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)))
)

#: Spelled out, since the Python that runs us need not be the newest that will import the model.
_SOFT_KEYWORDS = ("case", "match", "type")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")

#: What a free-text answer must look like, and how to say so.
_PATTERNS: dict[str, tuple[re.Pattern[str], str]] = {
    "name": (
        _NAME,
        "must be a snake_case identifier of lower-case ASCII letters, digits and single underscores, such as y_image",
    ),
    "vae": (
        re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
        "must be the name of an autoencoder class, such as AutoencoderKL",
    ),
    "scheduler": (
        re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
        "must be the name of a scheduler class, such as FlowMatchEulerDiscreteScheduler, or new",
    ),
    "title": (re.compile(r"[A-Za-z0-9][A-Za-z0-9 .+-]{0,59}"), "must be 1 to 60 letters, digits, spaces and . + -"),
    "class_prefix": (
        re.compile(r"[A-Z][A-Za-z0-9]{0,39}"),
        "must be 1 to 40 CamelCase ASCII letters and digits, such as YImage",
    ),
    "hub_repo": (re.compile(rf"({_REPOSITORY.pattern})?"), "must be ORG/NAME"),
    "tiny_repo": (_REPOSITORY, "must be ORG/NAME"),
    "reference": (re.compile(r"[A-Za-z0-9_.~:/@+-]*"), "must be a plain path or address"),
    "year": (re.compile(r"20[0-9][0-9]"), "must be a year such as 2026"),
}

#: Stored answers that are written into the generated code as they are, and what tells them from other code.
_CODE: dict[str, tuple[Callable[[str], bool], str]] = {
    "vae_spatial": (size_of_autoencoder, "must be arithmetic on numbers and on attributes of `vae`"),
    "vae_temporal": (size_of_autoencoder, "must be arithmetic on numbers and on attributes of `vae`"),
    "vae_sampling_rate": (size_of_autoencoder, "must be arithmetic on numbers and on attributes of `vae`"),
    "vae_tiny": (keyword_arguments, "must be keyword arguments with literal values"),
    "scheduler_arguments": (keyword_arguments, "must be keyword arguments with literal values"),
}

#: Combinations that make no sense: the question to blame, when, and the reason.
COMBINATIONS: tuple[tuple[str, Callable[[ModelSpec], bool], str], ...] = (
    (
        "task",
        lambda spec: not set(spec.task) <= set(TASKS[spec.modality]),
        "belongs to another --modality; image has t2i, i2i, inpaint, video has t2v, i2v, v2v, audio has t2a",
    ),
    (
        "auto_pipeline",
        lambda spec: spec.auto_pipeline == "yes" and spec.format == "modular",
        "needs a standard pipeline class; choose format standard or both",
    ),
    (
        "single_file",
        lambda spec: spec.single_file == "yes" and not spec.hub_repo,
        "needs --hub-repo, where the configuration of a checkpoint is looked up",
    ),
)


#: Questions whose answer is a list, and what it lists.
_LISTS = {"task": "tasks, such as [t2i]", "lacks": "conventions, such as [union_hints]"}

#: Questions whose answer is a number.
_NUMBERS = ("line_length", "vae_tiny_channels", "vae_tiny_spatial", "vae_tiny_temporal", "vae_tiny_audio_channels")


def _in_order(tasks: tuple[str, ...]) -> tuple[str, ...]:
    known = CHOICES["task"]
    return tuple(sorted(dict.fromkeys(tasks), key=lambda task: known.index(task) if task in known else len(known)))


def default_title(name: str) -> str:
    """``y_image`` -> ``Y Image``."""
    return " ".join(part.capitalize() for part in name.split("_"))


def default_class_prefix(name: str) -> str:
    """``y_image`` -> ``YImage``."""
    return "".join(part.capitalize() for part in name.split("_"))


def flag(question: str) -> str:
    """The command-line flag of a question: ``text_encoder`` -> ``--text-encoder``."""
    return "--" + question.replace("_", "-")


@dataclass(frozen=True)
class ModelSpec:
    """The answers of one scaffold. Field names are the questions of ``copier.yml``.

    Raises:
        BadInput: An answer, or a combination of answers, can not be used.
    """

    name: str
    format: str = "modular"
    modality: str = "image"
    task: tuple[str, ...] = ()
    attention: str = "joint"
    text_encoder: str = "t5"
    vae: str = ""
    scheduler: str = "FlowMatchEulerDiscreteScheduler"
    guidance: str = "cfg"
    lora: str = "no"
    single_file: str = "no"
    auto_pipeline: str = "no"
    title: str = ""
    class_prefix: str = ""
    hub_repo: str = ""
    tiny_repo: str = ""
    reference: str = ""
    tests: str = "mixins"
    pipeline_tests: str = "config"
    modular_tests: str = "config"
    lacks: tuple[str, ...] = ()
    year: str = "2026"
    line_length: int = 119
    vae_statistics: str = ""
    vae_encoding: str = ""
    vae_decoding: str = ""
    vae_dtype: str = ""
    vae_offload: str = ""
    vae_spatial: str = ""
    vae_temporal: str = ""
    vae_sampling_rate: str = ""
    vae_tiny: str = ""
    vae_tiny_channels: int = 0
    vae_tiny_spatial: int = 0
    vae_tiny_temporal: int = 0
    vae_tiny_audio_channels: int = 0
    vae_tiny_zeros: str = ""
    scheduler_arguments: str = "shift=3.0"

    def __post_init__(self) -> None:
        self._check_pattern("name", self.name)
        if keyword.iskeyword(self.name) or self.name in _SOFT_KEYWORDS:
            raise BadInput(f"--name {self.name} is a Python keyword; choose another name")
        if self.name in _DEVICES:
            raise BadInput(
                f"--name {self.name} is a device on Windows, where no folder can be called so; choose another name"
            )
        if self.modality not in CHOICES["modality"]:
            raise BadInput(f"--modality {self.modality!r} is unknown; choose one of {', '.join(CHOICES['modality'])}")
        # The dataclass is frozen, so that derived defaults go past its own __setattr__.
        for question, default in (
            ("task", TASKS[self.modality][:1]),
            ("vae", VAES[self.modality]),
            ("title", default_title(self.name)),
            ("class_prefix", default_class_prefix(self.name)),
            ("tiny_repo", f"hf-internal-testing/tiny-{self.key}-modular-pipe"),
        ):
            if not getattr(self, question):
                object.__setattr__(self, question, default)
        # Given in any order, the tasks stand in that of the modality: the first one names the plain pipeline.
        object.__setattr__(self, "task", _in_order(self.task))
        for question, trait in default_traits(self.vae, self.modality).items():
            if not getattr(self, question):
                object.__setattr__(self, question, trait)
        for question in _PATTERNS:
            self._check_pattern(question, getattr(self, question))
        for question, (fits, message) in _CODE.items():
            if not fits(getattr(self, question)):
                raise BadInput(f"{question} {getattr(self, question)!r} {message}")
        for question, allowed in CHOICES.items():
            value = getattr(self, question)
            for one in (value,) if isinstance(value, str) else value:
                if one not in allowed:
                    raise BadInput(f"{flag(question)} {one!r} is unknown; choose one of {', '.join(allowed)}")
        if not 60 <= self.line_length <= 400:
            raise BadInput(f"line_length {self.line_length} is out of range; use 60 to 400")
        for question, applies, reason in COMBINATIONS:
            if applies(self):
                answer = getattr(self, question)
                raise BadInput(f"{flag(question)} {answer if isinstance(answer, str) else ' '.join(answer)}: {reason}")

    def _check_pattern(self, question: str, value: str) -> None:
        pattern, message = _PATTERNS[question]
        if not pattern.fullmatch(value):
            raise BadInput(f"{flag(question)} {value!r} {message}")

    @classmethod
    def from_answers(cls, answers: Mapping[str, Any]) -> ModelSpec:
        """A spec from an answers file, from ``--answers``, or from flags; keys that start with ``_`` are Copier's own.

        Raises:
            BadInput: A key is unknown, a value has the wrong type, or the answers do not make sense.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {}
        for key, value in answers.items():
            if key.startswith("_"):
                continue
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                raise BadInput(f"answer {key!r} is unknown", hint=f"did you mean {near[0]}?" if near else "see --help")
            values[key] = _coerced(key, value)
        if "name" not in values:
            raise BadInput("the name of the model is missing; give --name NAME")
        return cls(**values)

    def answers(self) -> dict[str, Any]:
        """The answers as Copier takes them, in the order of ``copier.yml``."""
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), tuple) else value
            for field in fields(self)
        }

    @property
    def key(self) -> str:
        """The key of MODULAR_PIPELINE_MAPPING and the ``model_name`` of every block: ``y-image``."""
        return self.name.replace("_", "-")

    @property
    def has_standard(self) -> bool:
        """Whether the scaffold has a standard pipeline."""
        return self.format in ("standard", "both")

    @property
    def has_modular(self) -> bool:
        """Whether the scaffold has a modular pipeline."""
        return self.format in ("modular", "both")

    @property
    def transformer_class(self) -> str:
        """``YImageTransformer2DModel``; 3D for video, 1D for audio."""
        return f"{self.class_prefix}Transformer{DIMENSIONS[self.modality]}Model"

    @property
    def vae_class(self) -> str:
        """The class of the autoencoder, a new one being ``AutoencoderKLYImage``."""
        return f"AutoencoderKL{self.class_prefix}" if self.vae == "new" else self.vae

    @property
    def pipeline_classes(self) -> tuple[str, ...]:
        """The standard pipelines, one per task: ``YImagePipeline``, ``YImageImg2ImgPipeline``."""
        return tuple(f"{self.class_prefix}{TASK_NAMES[task][1]}Pipeline" for task in self.task)

    @property
    def public_classes(self) -> tuple[str, ...]:
        """The classes that the root of diffusers exports."""
        names = [self.transformer_class]
        if self.scheduler == "new":
            names.append(f"{self.class_prefix}Scheduler")
        if self.vae == "new":
            names.append(self.vae_class)
        if self.has_standard:
            names += self.pipeline_classes
        if self.has_modular:
            names += [f"{self.class_prefix}ModularPipeline", f"{self.class_prefix}AutoBlocks"]
        return tuple(names)

    @property
    def new_classes(self) -> tuple[str, ...]:
        """Every class name that must be free in the checkout."""
        names = [*self.public_classes]
        if self.has_standard and self.modality != "audio":
            names.append(f"{self.class_prefix}PipelineOutput")
        if self.lora == "yes":
            names.append(f"{self.class_prefix}LoraLoaderMixin")
        return tuple(names)

    @property
    def state_folder(self) -> str:
        """``.scaffold/y_image``: answers, manifest and parity harness, outside the pull request."""
        return f".scaffold/{self.name}"

    def owned_places(self) -> tuple[str, ...]:
        """Files and folders that belong to this name alone, whatever the format; none of them may exist beforehand."""
        name = self.name
        return (
            f"src/diffusers/models/transformers/transformer_{name}.py",
            f"src/diffusers/pipelines/{name}",
            f"src/diffusers/modular_pipelines/{name}",
            f"src/diffusers/schedulers/scheduling_{name}.py",
            f"tests/models/transformers/test_models_transformer_{name}.py",
            f"tests/pipelines/{name}",
            f"tests/modular_pipelines/{name}",
            f"tests/schedulers/test_scheduler_{name}.py",
            f"tests/single_file/test_{name}_single_file.py",
            f"src/diffusers/models/autoencoders/autoencoder_kl_{name}.py",
            f"tests/models/autoencoders/test_models_autoencoder_kl_{name}.py",
            *(f"docs/source/en/api/models/{name}_transformer{dim.lower()}.md" for dim in DIMENSIONS.values()),
            f"docs/source/en/api/models/autoencoder_kl_{name}.md",
            f"docs/source/en/api/pipelines/{name}.md",
            f"docs/source/en/api/schedulers/{name}.md",
            f"scripts/convert_{name}_to_diffusers.py",
        )

    def is_entry(self, object_name: str) -> bool:
        """Whether a registry's entry of this name is the model's: a class, the mapping's key, or a docs page."""
        pages = {place.removeprefix("docs/source/en/").removesuffix(".md") for place in self.owned_places()}
        return object_name in {*self.new_classes, self.key, *pages}

    def owns(self, path: str) -> bool:
        """Whether ``path`` belongs to this model and ships in its pull request."""
        return any(path == place or path.startswith(place + "/") for place in self.owned_places())


def _coerced(key: str, value: Any) -> Any:
    """YAML's types as the questions' types: ``lora: true`` and a single task given as text are understood."""
    if key in _LISTS:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list | tuple) or not all(isinstance(one, str) for one in values):
            raise BadInput(f"{flag(key)} must be a list of {_LISTS[key]}")
        return tuple(values)
    if key in _NUMBERS:
        try:
            return int(value)
        except (TypeError, ValueError):
            raise BadInput(f"{key} {value!r} is not a number") from None
    if isinstance(value, bool) and key in ("lora", "single_file", "auto_pipeline"):
        return "yes" if value else "no"
    if key == "year":
        return str(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"{flag(key)} {value!r} must be text")
    return value
