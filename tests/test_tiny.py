"""The tiny repositories: the Hub cache, the tokenizers, and the subprocess that assembles the pipeline."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scaffold_model import tiny, tiny_tokenizers
from scaffold_model.errors import BadInput
from scaffold_model.hubcache import MARKER, Placed, find, hub_cache, place, read_folder, repository_folder
from scaffold_model.snapshot import Snapshot
from scaffold_model.spec import ModelSpec
from scaffold_model.tiny import Generated, RunnerFailed, build, generate, needed_repos, tokenizer_repos

ROOT = Path(__file__).resolve().parents[1]
REPO = "someone/tiny"
T5 = "hf-internal-testing/tiny-random-t5"
CLIP = "hf-internal-testing/tiny-random-clip"


# The Hub cache.


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HUGGINGFACE_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({}, os.path.expanduser("~/.cache/huggingface/hub")),
    ],
)
def test_the_cache_is_where_huggingface_hub_looks(environ: dict[str, str], expected: str) -> None:
    assert hub_cache(environ) == Path(expected)


def test_a_repository_is_created_kept_as_it_is_and_replaced(tmp_path: Path) -> None:
    assert find(tmp_path, REPO) is None
    first = place(tmp_path, REPO, {"a.txt": b"one", "sub/b.txt": b"two"})
    assert first.status == "created"
    assert (repository_folder(tmp_path, REPO) / "refs/main").read_text() == first.folder.name
    assert len(first.folder.name) == 40
    assert read_folder(first.folder) == {"a.txt": b"one", "sub/b.txt": b"two"}
    found = find(tmp_path, REPO)
    assert found is not None
    assert found.ours
    assert place(tmp_path, REPO, {"sub/b.txt": b"two", "a.txt": b"one"}) == Placed(REPO, first.folder, "unchanged")
    second = place(tmp_path, REPO, {"a.txt": b"other"})
    assert second.status == "replaced"
    assert not first.folder.exists()
    assert [path.name for path in second.folder.parent.iterdir()] == [second.folder.name]


def test_a_repository_of_ours_that_was_tampered_with_is_built_anew(tmp_path: Path) -> None:
    first = place(tmp_path, REPO, {"a.txt": b"one"})
    (first.folder / "a.txt").write_text("changed")
    assert place(tmp_path, REPO, {"a.txt": b"one"}).status == "replaced"
    assert (first.folder / "a.txt").read_text() == "one"


def test_a_downloaded_repository_is_kept_unless_forced(tmp_path: Path) -> None:
    folder = repository_folder(tmp_path, REPO)
    real = folder / "snapshots" / ("a" * 40)
    real.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("a" * 40)
    (real / "real.txt").write_text("real")
    assert place(tmp_path, REPO, {"a.txt": b"one"}) == Placed(REPO, real, "kept")
    assert read_folder(real) == {"real.txt": b"real"}
    forced = place(tmp_path, REPO, {"a.txt": b"one"}, force=True)
    assert forced.status == "replaced"
    assert forced.folder != real
    assert read_folder(real) == {"real.txt": b"real"}, "a download is never deleted"


def test_a_cache_that_is_no_folder_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="can not be written"):
        place(tmp_path / "file", REPO, {"a.txt": b"one"})


# The tokenizers.


def test_the_same_bytes_every_time() -> None:
    for make in tiny_tokenizers.TOKENIZER_REPOS.values():
        assert make() == make()


def test_ids_of_t5() -> None:
    model = json.loads(tiny_tokenizers.t5_files()["tokenizer.json"])["model"]
    tokens = [token for token, _ in model["vocab"]]
    assert tokens[:3] == ["<pad>", "</s>", "<unk>"]
    assert tokens[-1] == "<extra_id_0>"
    assert tokens[-100] == "<extra_id_99>"
    assert len(set(tokens)) == len(tokens) <= tiny_tokenizers.T5_VOCAB_SIZE


def test_ids_of_clip() -> None:
    vocabulary = json.loads(tiny_tokenizers.clip_files()["vocab.json"])
    assert [vocabulary[token] for token in ("<|startoftext|>", "<|pad|>", "<|endoftext|>")] == [0, 1, 2]
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert len(vocabulary) <= tiny_tokenizers.CLIP_VOCAB_SIZE


@pytest.mark.parametrize("make", [tiny_tokenizers.clip_files, tiny_tokenizers.qwen2_files])
def test_every_merge_makes_a_token_of_two_tokens(make: Callable[[], dict[str, str]]) -> None:
    files = make()
    vocabulary = json.loads(files["vocab.json"])
    header, *merges = files["merges.txt"].splitlines()
    assert header == "#version: 0.2"
    assert merges
    for merge in merges:
        left, right = merge.split(" ")
        assert {left, right, left + right} <= set(vocabulary)


_LOAD = """
import json, sys
import transformers
from transformers import AutoTokenizer
result = {}
for repo, name, length in json.loads(sys.argv[1]):
    both = []
    for cls in (AutoTokenizer, getattr(transformers, name)):
        tokenizer = cls.from_pretrained(repo)
        texts = ["A painting of a squirrel eating a burger, at 4 o'clock!", "dance monkey", ""]
        batch = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        both.append({
            "ids": batch.input_ids.tolist(), "mask": batch.attention_mask.tolist(), "size": len(tokenizer),
            "text": tokenizer.decode(batch.input_ids[0], skip_special_tokens=True),
            "pad": tokenizer.pad_token_id, "end": tokenizer.eos_token_id, "unknown": tokenizer.unk_token_id,
        })
    assert both[0] == both[1], (repo, both)
    result[repo] = both[0]
print(json.dumps(result))
"""


@pytest.mark.torch
def test_transformers_loads_them_offline_by_name(tmp_path: Path, torch_python: str) -> None:
    asked = []
    for repo, name in zip(
        tiny_tokenizers.TOKENIZER_REPOS, ("T5TokenizerFast", "CLIPTokenizer", "Qwen2Tokenizer"), strict=True
    ):
        place(
            tmp_path / "hub",
            repo,
            {key: text.encode() for key, text in tiny_tokenizers.TOKENIZER_REPOS[repo]().items()},
        )
        asked.append((repo, name, 48))
    done = subprocess.run(
        [torch_python, "-c", _LOAD, json.dumps(asked)],
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    t5, clip, qwen = loaded.values()
    assert (t5["pad"], t5["end"], t5["unknown"]) == (0, 1, 2)
    assert (clip["pad"], clip["end"]) == (2, 2)
    assert t5["text"] == "A painting of a squirrel eating a burger, at 4 o'clock!"
    assert qwen["text"] == t5["text"]
    assert clip["text"].replace(" ", "") == t5["text"].lower().replace(" ", "")
    # The end token is there and counts; padding does not.
    assert t5["ids"][2][0] == 1
    assert sum(t5["mask"][2]) == 1
    assert clip["ids"][2][:2] == [0, 2]
    assert sum(qwen["mask"][2]) == 0
    for one, size in (
        (t5, tiny_tokenizers.T5_VOCAB_SIZE),
        (clip, tiny_tokenizers.CLIP_VOCAB_SIZE),
        (qwen, qwen["size"]),
    ):
        assert max(max(ids) for ids in one["ids"]) < size
        assert one["ids"][0] != one["ids"][1]
        assert len(one["ids"][0]) == 48
        unknown = one["unknown"]
        assert one is clip or unknown is None or unknown not in one["ids"][0]


# Which repositories a model needs.


def test_the_repositories_that_the_tests_name() -> None:
    path = "tests/pipelines/foo/test_pipeline_foo.py"
    snapshot = Snapshot(
        None, {path: f'T5TokenizerFast.from_pretrained("{T5}")\nCLIPTokenizer.from_pretrained("{CLIP}")\n'}
    )
    both, standard = ModelSpec("foo", format="both"), ModelSpec("foo", format="standard", text_encoder="clip")
    assert tokenizer_repos(snapshot, both) == (T5, CLIP)
    assert needed_repos(snapshot, both) == (T5, CLIP, "hf-internal-testing/tiny-foo-modular-pipe")
    assert needed_repos(snapshot, standard) == (T5, CLIP)
    assert tokenizer_repos(Snapshot(None, {}), standard) == (CLIP,)


# Building, with small stand-ins for torch and diffusers, so that the whole path runs anywhere.

_DIFFUSERS = """
import json
from pathlib import Path


class Picture:
    width = height = 64

    def convert(self, mode):
        return self

    def getcolors(self, most):
        return [(1, "red")] * COLOURS

    def save(self, path, **options):
        Path(path).write_text(f"picture {sorted(options)}")


COLOURS = 3


class Pipeline:
    def __init__(self, components):
        self.components = components

    def save_pretrained(self, folder):
        assert isinstance(folder, str)
        Path(folder, "tokenizer").mkdir(parents=True)
        Path(folder, "tokenizer", "vocab.txt").write_text(self.components["tokenizer"])
        entry = ["transformers", "T5Tokenizer", {"pretrained_model_name_or_path": folder, "subfolder": "tokenizer"}]
        index = {"_class_name": "FooModularPipeline", "tokenizer": entry, "guidance_scale": 5.0}
        Path(folder, "modular_model_index.json").write_text(json.dumps(index))


class ModularPipeline:
    @classmethod
    def from_pretrained(cls, repo):
        assert repo == "hf-internal-testing/tiny-foo-modular-pipe"
        return cls()

    def load_components(self):
        self.loaded = True

    def set_progress_bar_config(self, disable):
        assert disable

    def __call__(self, prompt, num_inference_steps, generator, output, output_type, **others):
        assert self.loaded
        if output == "images":
            assert (others, output_type) == ({"height": 64, "width": 64}, "pil")
            return [Picture()]
        assert (others, output, output_type) == ({"height": 64, "width": 64, "num_frames": 9}, "videos", "pil")
        return [[Picture(), Picture()]]
"""

_TORCH = """
def manual_seed(seed):
    assert seed == 0


class Generator:
    def __init__(self, device):
        assert device == "cpu"

    def manual_seed(self, seed):
        return self
"""

_RECIPE = """
from pathlib import Path
import diffusers


def get_components(tokenizer_folder):
    return {"tokenizer": " ".join(sorted(path.name for path in Path(tokenizer_folder).iterdir()))}


def get_pipeline(components):
    return diffusers.Pipeline(components)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose diffusers and torch are stand-ins; the runner and its subprocess are the real ones."""
    root = tmp_path / "checkout"
    for path, text in {
        "src/diffusers/__init__.py": _DIFFUSERS,
        "src/torch.py": _TORCH,
        ".scaffold/foo/tiny.py": _RECIPE,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    monkeypatch.setattr(tiny, "require_modules", lambda *_: None)
    return root


def test_build_lays_out_tokenizer_and_pipeline(stand_in: Path, tmp_path: Path) -> None:
    spec, hub, steps = ModelSpec("foo"), tmp_path / "hub", []
    result = build(stand_in, spec, sys.executable, steps.append, cache=hub)
    assert [(one.repo, one.status) for one in result.placed] == [(T5, "created"), (spec.tiny_repo, "created")]
    assert steps == [
        f"{T5}: built",
        f"building the tiny modular pipeline of Foo with {sys.executable}",
        "hf-internal-testing/tiny-foo-modular-pipe: built",
    ]
    folder = result.placed[-1].folder
    assert result.publish == f"hf upload hf-internal-testing/tiny-foo-modular-pipe {folder}"
    files = read_folder(folder)
    assert sorted(files) == ["modular_model_index.json", "tokenizer/vocab.txt"]
    assert files["tokenizer/vocab.txt"].decode().split() == sorted(tiny_tokenizers.t5_files())
    assert json.loads(files["modular_model_index.json"]) == {
        "_class_name": "FooModularPipeline",
        "tokenizer": [
            "transformers",
            "T5Tokenizer",
            {"pretrained_model_name_or_path": spec.tiny_repo, "subfolder": "tokenizer"},
        ],
        "guidance_scale": 5.0,
    }
    assert (folder / MARKER).is_file()
    again = build(stand_in, spec, sys.executable, lambda _: None, cache=hub)
    assert [one.status for one in again.placed] == ["unchanged", "unchanged"]
    assert sorted(path.name for path in (stand_in / ".scaffold/foo").iterdir()) == ["tiny.py"]


def test_a_kept_repository_is_said(stand_in: Path, tmp_path: Path) -> None:
    spec, hub = ModelSpec("foo"), tmp_path / "hub"
    downloaded = place(hub, T5, {"a": b""}).folder
    (downloaded / MARKER).unlink()
    result = build(stand_in, spec, sys.executable, lambda _: None, cache=hub)
    assert result.placed[0] == Placed(T5, downloaded, "kept")
    assert result.notices[0] == f"kept as downloaded, not built: {T5}; --force builds them all the same"
    forced = build(stand_in, spec, sys.executable, lambda _: None, cache=hub, force=True)
    assert forced.placed[0].status == "replaced"


def test_generate_builds_what_is_missing_and_saves_a_picture(stand_in: Path, tmp_path: Path) -> None:
    hub, target = tmp_path / "hub", tmp_path / "picture.png"
    made = generate(stand_in, ModelSpec("foo"), sys.executable, target, lambda _: None, cache=hub)
    assert made == Generated(target, "64x64 pixels, 3 colours")
    assert target.read_text() == "picture []"
    assert find(hub, "hf-internal-testing/tiny-foo-modular-pipe") is not None


def test_generate_saves_a_video_as_a_moving_picture(stand_in: Path, tmp_path: Path) -> None:
    spec, target = ModelSpec("foo", modality="video"), tmp_path / "video.gif"
    made = generate(stand_in, spec, sys.executable, target, lambda _: None, cache=tmp_path / "hub")
    assert made == Generated(target, "2 frames of 64x64 pixels, 3 colours")
    assert target.read_text() == "picture ['append_images', 'save_all']"


def test_one_flat_colour_is_a_failure(stand_in: Path, tmp_path: Path) -> None:
    init = stand_in / "src/diffusers/__init__.py"
    init.write_text(init.read_text().replace("COLOURS = 3", "COLOURS = 1"))
    with pytest.raises(RunnerFailed, match="there is one single value in"):
        generate(
            stand_in, ModelSpec("foo"), sys.executable, tmp_path / "a.png", lambda _: None, cache=tmp_path / "hub"
        )


@pytest.mark.parametrize(
    ("name", "message"), [("a.wav", "a.wav is no name of a file for image"), ("no/a.png", "does not exist")]
)
def test_where_the_picture_can_not_go(name: str, message: str, stand_in: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        generate(stand_in, ModelSpec("foo"), sys.executable, tmp_path / name, lambda _: None, cache=tmp_path / "hub")


def test_a_failing_model_is_one_line_and_a_log(stand_in: Path, tmp_path: Path) -> None:
    recipe = stand_in / ".scaffold/foo/tiny.py"
    recipe.write_text(_RECIPE + "\n\nraise ValueError('the sizes do not fit')\n")
    with pytest.raises(RunnerFailed) as caught:
        build(stand_in, ModelSpec("foo"), sys.executable, lambda _: None, cache=tmp_path / "hub")
    assert caught.value.line == (
        "the tiny pipeline could not be built: ValueError: the sizes do not fit; "
        "the whole output is in .scaffold/foo/tiny.log"
    )
    log = stand_in / ".scaffold/foo/tiny.log"
    assert "Traceback (most recent call last)" in log.read_text()
    recipe.write_text(_RECIPE)
    build(stand_in, ModelSpec("foo"), sys.executable, lambda _: None, cache=tmp_path / "hub")
    assert not log.exists()


def test_a_pipeline_that_names_the_temporary_folder_is_not_placed(stand_in: Path, tmp_path: Path) -> None:
    (stand_in / ".scaffold/foo/tiny.py").write_text(_RECIPE.replace('" ".join(', "tokenizer_folder + str("))
    with pytest.raises(RunnerFailed, match=r"names the temporary folder in tokenizer/vocab\.txt"):
        build(stand_in, ModelSpec("foo"), sys.executable, lambda _: None, cache=tmp_path / "hub")
    assert find(tmp_path / "hub", ModelSpec("foo").tiny_repo) is None


def test_diffusers_must_be_that_of_the_checkout(stand_in: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (stand_in / "src").rename(elsewhere / "src")
    (stand_in / "src").symlink_to(elsewhere / "src")
    with pytest.raises(RunnerFailed, match=r"diffusers was imported from .*, not from the checkout"):
        build(stand_in, ModelSpec("foo"), sys.executable, lambda _: None, cache=tmp_path / "hub")


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        build(tmp_path, ModelSpec("foo"), sys.executable, lambda _: None, cache=tmp_path / "hub")
    assert caught.value.line.startswith(".scaffold/foo/tiny.py: is missing: ")


def test_missing_packages_are_one_line(stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(tiny.PACKAGES, "no_such_module", "no-such-package")
    with pytest.raises(BadInput) as caught:
        build(stand_in, ModelSpec("foo"), sys.executable, lambda _: None, cache=tmp_path / "hub")
    assert re.fullmatch(
        r"the tiny pipeline needs .*no-such-package, which .* does not have; `.* -m pip install .*no-such-package`, "
        r"or give another interpreter with --python PATH",
        caught.value.line,
    )
    assert not (tmp_path / "hub").exists(), "nothing is written before the packages are there"
