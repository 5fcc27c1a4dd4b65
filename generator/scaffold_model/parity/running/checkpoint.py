"""Checkpoints: what is in them is read from their headers, and a tensor only when it is asked for."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import RunningError

_TORCH = (".pt", ".pth", ".ckpt", ".bin")
_NAMED = f"name a .safetensors file, an .index.json, a folder of them, or a {', '.join(_TORCH)} file"
#: Bytes of one element, by the dtype of a header.
_SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "F32": 4}
_SIZES.update({"U64": 8, "I64": 8, "F64": 8})


@dataclass(frozen=True)
class Entry:
    """One tensor: its shape, the name of its dtype, and the file that holds it."""

    shape: tuple[int, ...]
    dtype: str
    file: Path


@dataclass
class Checkpoint:
    """The tensors of a checkpoint by key, in the order of their files.

    Attributes:
        path: What was named.
        entries: What the headers say.
        inside: The entry of a PyTorch checkpoint that holds the tensors, where it is nested.
    """

    path: Path
    entries: dict[str, Entry]
    inside: str | None = None
    _loaded: dict[Path, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes by key."""
        return {key: entry.shape for key, entry in self.entries.items()}

    def load(self, key: str) -> Any:
        """One tensor.

        Raises:
            RunningError: Its file can not be read any more.
        """
        file = self.entries[key].file
        try:
            if file.suffix == ".safetensors":
                from safetensors import safe_open

                # Opened for each tensor, so that what was read of the file is given back with the tensor.
                with safe_open(str(file), framework="pt") as opened:
                    return opened.get_tensor(key)
            if file not in self._loaded:
                self._loaded[file] = _torch_tensors(file)[1]
            return self._loaded[file][key]
        except (OSError, RuntimeError, KeyError) as error:
            raise _unreadable(file, error) from None


def read_checkpoint(path: Path) -> Checkpoint:
    """What a checkpoint holds.

    Args:
        path: A .safetensors file, the .index.json of a sharded checkpoint, a folder with either, or a PyTorch file.

    Raises:
        RunningError: It is missing, damaged or truncated, or it is not clear which tensors are meant.
    """
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise RunningError("is not there", path=str(path), hint=_NAMED)
    if path.name.endswith(".index.json"):
        return _of_index(path)
    if path.suffix == ".safetensors":
        return _nonempty(Checkpoint(path, dict(_header(path))))
    if path.suffix in _TORCH:
        inside, tensors = _torch_tensors(path)
        return _nonempty(Checkpoint(path, _described(path, tensors), inside, {path: tensors}))
    raise RunningError("is no checkpoint that can be read", path=str(path), hint=_NAMED)


def _of_folder(folder: Path) -> Checkpoint:
    indexes = sorted(folder.glob("*.index.json"))
    safe = [one for one in indexes if one.name.endswith(".safetensors.index.json")]
    files = sorted(folder.glob("*.safetensors"))
    if len(safe) == 1:
        return _of_index(safe[0])
    if len(safe) > 1:
        raise _several(folder, safe)
    if files:
        return _nonempty(Checkpoint(folder, _merged(folder, files)))
    torch_files = sorted(one for one in folder.iterdir() if one.suffix in _TORCH)
    found = indexes or torch_files
    if len(found) > 1:
        raise _several(folder, found)
    if not found:
        raise RunningError("holds no checkpoint", path=str(folder), hint=_NAMED)
    return read_checkpoint(found[0])


def _several(folder: Path, files: list[Path]) -> RunningError:
    names = ", ".join(one.name for one in files[:5])
    return RunningError(f"holds several checkpoints ({names})", path=str(folder), hint="name one of them")


def _of_index(path: Path) -> Checkpoint:
    try:
        weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        by_file: dict[str, set[str]] = {}
        for key, name in weight_map.items():
            by_file.setdefault(name, set()).add(key)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from None
    shards = [path.parent / name for name in sorted(by_file)]
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise RunningError(
            f"names {len(missing)} shards that are not there ({', '.join(missing[:5])})",
            path=str(path),
            hint="put every shard beside the index",
        )
    checkpoint = Checkpoint(path, _merged(path, shards))
    for shard in shards:
        lacking = [key for key in by_file[shard.name] if checkpoint.entries.get(key) is None]
        if lacking:
            raise RunningError(
                f"lacks {len(lacking)} tensors that {path.name} says it has ({', '.join(sorted(lacking)[:3])})",
                path=str(shard),
                hint="download the shard again",
            )
    return _nonempty(checkpoint)


def _merged(path: Path, files: list[Path]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for file in files:
        found = dict(_header(file)) if file.suffix == ".safetensors" else _described(file, _torch_tensors(file)[1])
        twice = sorted(entries.keys() & found.keys())
        if twice:
            raise RunningError(
                f"{twice[0]} is in {entries[twice[0]].file.name} and in {file.name}",
                path=str(path),
                hint="name the file or the index that you mean",
            )
        entries.update(found)
    return entries


def _nonempty(checkpoint: Checkpoint) -> Checkpoint:
    if not checkpoint.entries:
        raise RunningError("holds no tensors", path=str(checkpoint.path), hint=_NAMED)
    return checkpoint


def _header(path: Path) -> Iterator[tuple[str, Entry]]:
    """Key and entry of each tensor of a .safetensors file, without reading the tensors."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
            if length > size - 8:
                raise ValueError("its header is longer than the file, so it is truncated or no .safetensors file")
            described = json.loads(file.read(length))
        end = 8 + length
        for key, value in described.items():
            if key == "__metadata__":
                continue
            shape, dtype, (first, last) = tuple(value["shape"]), value["dtype"], value["data_offsets"]
            if dtype in _SIZES and last - first != math.prod(shape) * _SIZES[dtype]:
                raise ValueError(f"the sizes of {key} contradict each other")
            if 8 + length + last > size:
                raise ValueError(f"it is truncated: {key} ends at byte {8 + length + last} of {size}")
            end = max(end, 8 + length + last)
            yield key, Entry(shape, dtype, path)
        if end < size:
            raise ValueError(f"it has {size - end} bytes too many")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from None


def _torch_tensors(path: Path) -> tuple[str | None, Mapping[str, Any]]:
    """The tensors of a PyTorch file, mapped and not read where its format allows, and the entry that holds them."""
    import pickle

    import torch

    try:
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            # Files of before PyTorch 1.6 are no archives, and can only be read whole.
            if "mmap" not in str(error):
                raise
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise RunningError(
            "holds other objects than tensors, which are not loaded, since that could run any code",
            path=str(path),
            hint="save its tensors alone, as a .safetensors file",
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from None
    found = dict(_tensor_dicts(loaded, ()))
    if () in found:
        return None, found[()]
    if len(found) == 1:
        ((place, tensors),) = found.items()
        return ".".join(place), tensors
    if found:
        names = ", ".join(".".join(place) for place in found)
        raise RunningError(
            f"holds several sets of tensors ({names})",
            path=str(path),
            hint="save the one that you mean in a file of its own",
        )
    raise RunningError(f"holds a {type(loaded).__name__} and no dictionary of tensors", path=str(path), hint=_NAMED)


def _tensor_dicts(value: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    import torch

    if not isinstance(value, Mapping) or len(place) > 2:
        return
    if value and all(isinstance(one, torch.Tensor) for one in value.values()):
        yield place, {str(key): one for key, one in value.items()}
        return
    for key, one in value.items():
        yield from _tensor_dicts(one, (*place, str(key)))


def _described(path: Path, tensors: Mapping[str, Any]) -> dict[str, Entry]:
    return {
        key: Entry(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), path)
        for key, tensor in tensors.items()
    }


def _unreadable(path: Path, error: BaseException) -> RunningError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0][:300] if lines else type(error).__name__
    return RunningError(f"can not be read: {said}", path=str(path), hint="download or save it again")
