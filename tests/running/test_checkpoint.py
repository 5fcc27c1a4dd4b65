"""Reading checkpoints: names and shapes from the header, and one sentence for whatever is wrong with a file."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from scaffold_model.parity.running.checkpoint import read_checkpoint
from scaffold_model.parity.running.errors import RunningError

TENSORS = {
    "a.weight": torch.arange(6.0).reshape(2, 3),
    "b": torch.ones(4, dtype=torch.bfloat16),
    "n": torch.tensor(3),
}
SHAPES = {"a.weight": (2, 3), "b": (4,), "n": ()}


def _shards(folder: Path) -> Path:
    names = {"a.weight": "one.safetensors", "b": "two.safetensors", "n": "two.safetensors"}
    for name in set(names.values()):
        save_file({key: TENSORS[key] for key in names if names[key] == name}, folder / name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return index


def _write(kind: str, folder: Path) -> Path:
    if kind == "index":
        return _shards(folder)
    if kind == "folder of shards":
        return _shards(folder).parent
    path = folder / ("model.safetensors" if "safetensors" in kind else f"model{kind.split()[-1]}")
    if "safetensors" in kind:
        save_file(TENSORS, path)
    elif "nested" in kind:
        torch.save({"epoch": 3, "state_dict": TENSORS}, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization="old" not in kind)
    return folder if kind == "folder, safetensors" else path


KINDS = ["safetensors", "folder, safetensors", "index", "folder of shards", ".pt", ".bin", "nested .ckpt", "old .pth"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file(kind: str, tmp_path: Path) -> None:
    found = read_checkpoint(_write(kind, tmp_path))
    assert found.shapes() == SHAPES
    assert found.inside == ("state_dict" if "nested" in kind else None)
    assert all(torch.equal(found.load(key), TENSORS[key]) for key in TENSORS)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    size = 20_000_000_000
    header = {
        f"blocks.{i}.weight": {
            "dtype": "F32",
            "shape": [5000, 10000],
            "data_offsets": [i * 200_000_000, (i + 1) * 200_000_000],
        }
        for i in range(100)
    }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + size)
    start = time.perf_counter()
    assert len(read_checkpoint(path).entries) == 100
    assert time.perf_counter() - start < 1


def _truncated(folder: Path) -> Path:
    path = _write("safetensors", folder)
    path.write_bytes(path.read_bytes()[:-3])
    return path


def _text(name: str, text: str = "<html>no checkpoint</html>") -> object:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


def _torch(value: object) -> object:
    def write(folder: Path) -> Path:
        torch.save(value, folder / "model.pt")
        return folder / "model.pt"

    return write


class _Anything:
    pass


def _lacking_shard(folder: Path) -> Path:
    index = _shards(folder)
    (folder / "two.safetensors").unlink()
    return index


def _twice(folder: Path) -> Path:
    for name in ("a.safetensors", "b.safetensors"):
        save_file(TENSORS, folder / name)
    return folder


WRONG = {
    "missing": (lambda folder: folder / "model.safetensors", "is not there"),
    "empty folder": (lambda folder: folder, "holds no checkpoint"),
    "another kind": (_text("notes.txt"), "is no checkpoint that can be read"),
    "no safetensors": (_text("model.safetensors"), "can not be read: its header is longer than the file"),
    "empty file": (_text("model.safetensors", ""), "can not be read: its header is longer than the file"),
    "truncated": (_truncated, r"can not be read: it is truncated: \S+ ends at byte \d+ of \d+"),
    "no torch file": (_text("model.pt"), "holds other objects than tensors|can not be read"),
    "a list": (_torch([1, 2]), "holds a list and no dictionary of tensors"),
    "other objects": (_torch({"a": _Anything()}), "holds other objects than tensors"),
    "several": (_torch({"model": TENSORS, "ema": TENSORS}), r"holds several sets of tensors \(model, ema\)"),
    "a lacking shard": (_lacking_shard, r"names 1 shards that are not there \(two.safetensors\)"),
    "an empty index": (_text("model.safetensors.index.json", "[]"), "can not be read"),
    "a key twice": (_twice, "is in a.safetensors and in b.safetensors"),
    "no tensors": (
        lambda folder: save_file({}, folder / "m.safetensors") or folder / "m.safetensors",
        "holds no tensors",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_sentence(case: str, tmp_path: Path) -> None:
    write, message = WRONG[case]
    path = write(tmp_path)
    with pytest.raises(RunningError, match=message) as error:
        read_checkpoint(path)
    assert error.value.hint
    assert error.value.path is not None
    assert "\n" not in error.value.message
