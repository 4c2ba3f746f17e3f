"""Safetensors files on disk: one or several shards in, one out.

Values are read tensor by tensor. float32 tensors stay mapped from the file. Tensors of other
dtypes are converted, so each such read maps the file separately and releases it with the
tensor: mapped pages count as resident memory, and a bfloat16 file beside its float32 copy
would add half of the copy's size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.tensors import LazyTensor, LazyTensors, all_finite

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PICKLE_SUFFIXES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
#: Names of the dtypes that weights come in, as safetensors spells them.
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_SPELLING = {dtype: name for name, dtype in DTYPES.items()}
_LISTED = 8


def find_weights(directory: Path) -> tuple[Path, ...]:
    """The weights file, or every shard that the index names.

    Raises :class:`CheckpointError` for a folder that is missing, empty or holds only
    pickled weights, and for missing shards.
    """
    if directory.suffix in PICKLE_SUFFIXES:
        raise pickle_error(directory)
    if not directory.is_dir():
        raise CheckpointError(f"{directory}: no such folder; give the checkpoint's folder")
    if (directory / WEIGHTS_FILE).is_file():
        return (directory / WEIGHTS_FILE,)
    if (directory / INDEX_FILE).is_file():
        return _shards(directory)
    pickles = sorted(p for p in directory.iterdir() if p.suffix in PICKLE_SUFFIXES)
    if pickles:
        raise pickle_error(pickles[0])
    found = ", ".join(sorted(p.name for p in directory.iterdir())[:_LISTED]) or "nothing"
    raise CheckpointError(f"{directory}: no {WEIGHTS_FILE} in it (found {found})")


def read_tensors(directory: Path) -> dict[str, LazyTensor]:
    """Every tensor of the folder's weights; only headers are read now.

    Raises :class:`CheckpointError` as :func:`find_weights`, and for a file that is
    truncated, no safetensors or of a dtype that weights do not have.
    """
    found: dict[str, LazyTensor] = {}
    for path in find_weights(directory):
        for name, tensor in read_header(path).items():
            if name in found:
                raise CheckpointError(f"{path}: tensor {name} is in another shard too")
            found[name] = tensor
    return found


def read_header(path: Path) -> dict[str, LazyTensor]:
    """Tensors of one safetensors file, values unread. Raises :class:`CheckpointError`."""
    try:
        file = safe_open(path, framework="pt", device="cpu")
        names: list[str] = file.keys()  # type: ignore[no-untyped-call]
        return {name: _lazy(path, name, file) for name in names}
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


@contextmanager
def written(path: Path, tensors: LazyTensors) -> Iterator[None]:
    """Writes a safetensors file one tensor at a time, and moves it to ``path`` at the end.

    Within the block the previous file is still there; a reader that has it mapped keeps it.
    Raises :class:`CheckpointError` listing tensors that are not finite.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(_header(tensors))
            broken = []
            for name, tensor in tensors.items():
                value = tensor.read().detach().cpu().contiguous()
                if not all_finite(value):
                    broken.append(name)
                file.write(value.reshape(-1).view(torch.uint8).numpy().data)
        if broken:
            raise CheckpointError(not_finite(path, broken))
        yield
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def not_finite(source: Path | str, names: list[str]) -> str:
    """The error message for weights that hold NaN or infinity."""
    return f"{source}: {listed('not finite', names)[0]}; use an earlier checkpoint"


def listed(what: str, names: list[str]) -> list[str]:
    """``what`` (count): the first few names; nothing for no names."""
    if not names:
        return []
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return [f"{what} ({len(names)}): {', '.join(names[:_LISTED])}{more}"]


def pickle_error(path: Path) -> CheckpointError:
    """The error for pickled weights, which could run code."""
    return CheckpointError(
        f"{path}: pickled weights are refused, because loading them runs code from the file; "
        f"convert them to {WEIGHTS_FILE} where they come from"
    )


def _lazy(path: Path, name: str, file: Any) -> LazyTensor:
    part = file.get_slice(name)
    if part.get_dtype() not in DTYPES:
        raise CheckpointError(
            f"{path}: {name} is {part.get_dtype()}, a quantised or unknown dtype; "
            "use weights in bfloat16, float16 or float32"
        )
    dtype = DTYPES[part.get_dtype()]
    keep = file if dtype == torch.float32 else None
    return LazyTensor(
        shape=tuple(part.get_shape()), dtype=dtype, read=lambda: _read(path, name, keep)
    )


def _read(path: Path, name: str, mapped: Any) -> Tensor:
    try:
        file = mapped or safe_open(path, framework="pt", device="cpu")
        tensor: Tensor = file.get_tensor(name)
        return tensor
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path}: truncated or not a safetensors file ({error}); copy it again")


def _shards(directory: Path) -> tuple[Path, ...]:
    index = directory / INDEX_FILE
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{index}: not an index of safetensors shards ({error!r}); copy it again"
        ) from error
    for name in names:
        if not _is_shard(name):
            raise CheckpointError(f"{index}: shard {name!r} is no safetensors file of this folder")
    missing = sorted(name for name in names if not (directory / name).is_file())
    if missing or not names:
        raise CheckpointError(
            f"{directory}: shards {', '.join(missing) or 'none'} missing of {len(names)}; "
            "copy them too"
        )
    return tuple(directory / name for name in sorted(names))


def _is_shard(name: Any) -> bool:
    return isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors")


def _header(tensors: LazyTensors) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        size = tensor.dtype.itemsize
        for length in tensor.shape:
            size *= length
        entries[name] = {
            "dtype": _SPELLING[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # keeps the data aligned for readers that map it
    return len(text).to_bytes(8, "little") + text
