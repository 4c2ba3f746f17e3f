"""openpi's JAX checkpoints on disk: an orbax folder ``params/`` read through tensorstore."""

from __future__ import annotations

import ast
import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pi0_ros.checkpoint import norm_stats
from pi0_ros.checkpoint.contents import CheckpointContents, Layout
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import DTYPES
from pi0_ros.checkpoint.jax_tree import from_jax, head_hints
from pi0_ros.checkpoint.jsonfile import read_object
from pi0_ros.checkpoint.names import is_pi05
from pi0_ros.checkpoint.openpi import CONFIG_FILE, derive_checked, read_discrete_state, read_hints
from pi0_ros.checkpoint.tensors import LazyTensor

PARAMS = "params"
METADATA_FILE = "_METADATA"
_DATABASE_FILE = "manifest.ocdbt"
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype for dtype in DTYPES.values() if dtype.is_floating_point
}


def is_orbax(params: Path) -> bool:
    """Whether the folder is an orbax item."""
    return (params / METADATA_FILE).is_file() or (params / _DATABASE_FILE).is_file()


def read_jax(root: Path, asset: str | None = None) -> CheckpointContents:
    """The contents of an openpi JAX folder; ``root`` is the folder above ``params``.

    Raises :class:`CheckpointError`, also where tensorstore is not installed.
    """
    tree = read_tree(root / PARAMS)
    try:
        tensors = from_jax(tree)
    except CheckpointError as error:
        raise CheckpointError(f"{root}: {error}") from error
    path = root / CONFIG_FILE
    data = read_object(path, "a model configuration") if path.is_file() else {}
    seen = head_hints(tree)
    hints = replace(
        read_hints(data, path),
        vision_heads=seen.vision_heads,
        heads=seen.heads,
        kv_heads=seen.kv_heads,
        head_dim=seen.head_dim,
    )
    config = derive_checked(tensors, hints, data, root)
    stats_file, why = norm_stats.choose(root, asset)
    pi05 = is_pi05(tensors)
    return CheckpointContents(
        layout=Layout.JAX,
        root=root,
        config=config,
        tensors=tensors,
        stored=len(tree),
        statistics=norm_stats.read(stats_file, pi05=pi05) if stats_file else None,
        no_statistics_because=why,
        assets=tuple(norm_stats.assets(root)),
        horizon=hints.action_horizon,
        state_in_prompt=read_discrete_state(data, path),
    )


def read_tree(params: Path) -> dict[str, LazyTensor]:
    """Every leaf of an orbax folder by its path, joined by ``/``; values are read on demand."""
    tensorstore = _tensorstore(params)
    database = (params / _DATABASE_FILE).is_file()
    metadata = _metadata(params)
    driver = "zarr3" if metadata.get("use_zarr3") else "zarr"
    tree = {}
    for keys in _paths(params, metadata):
        name = ".".join(keys)
        store: dict[str, Any] = {"driver": "file", "path": str(params / name)}
        if database:
            store = {"driver": "ocdbt", "base": params.resolve().as_uri(), "path": name}
        tree["/".join(keys)] = _leaf(tensorstore, {"driver": driver, "kvstore": store}, params)
    return tree


def _leaf(tensorstore: Any, spec: dict[str, Any], params: Path) -> LazyTensor:
    name = spec["kvstore"]["path"]
    try:
        array = tensorstore.open(spec, open=True, read=True).result()
    except ValueError as error:
        raise _unreadable(params, name, error) from error
    if array.dtype.name not in _DTYPES:
        raise CheckpointError(
            f"{params}: {name} is {array.dtype.name}; weights in bfloat16, float16 or float32 "
            "expected"
        )

    def read() -> Tensor:
        try:
            values = np.ascontiguousarray(array.read().result())
        except ValueError as error:
            raise _unreadable(params, name, error) from error
        if array.dtype.name == "bfloat16":  # a dtype that NumPy itself does not have
            return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(values)

    return LazyTensor(shape=tuple(array.shape), dtype=_DTYPES[array.dtype.name], read=read)


def _unreadable(params: Path, name: str, error: Exception) -> CheckpointError:
    return CheckpointError(f"{params}: {name} is not readable ({error}); copy it again")


def _metadata(params: Path) -> dict[str, Any]:
    path = params / METADATA_FILE
    if not path.is_file():
        raise CheckpointError(f"{path}: missing, so nothing lists the parameters; copy it too")
    return read_object(path, "orbax metadata")


def _paths(params: Path, metadata: dict[str, Any]) -> list[tuple[str, ...]]:
    tree = metadata.get("tree_metadata")
    if not isinstance(tree, dict) or not tree:
        raise CheckpointError(f"{params / METADATA_FILE}: tree_metadata is missing; copy it again")
    paths = []
    for text in tree:
        try:
            keys = ast.literal_eval(text)
        except (SyntaxError, ValueError) as error:
            raise CheckpointError(
                f"{params / METADATA_FILE}: {text!r} is no tree path; copy it again"
            ) from error
        paths.append(tuple(str(key) for key in keys))
    return paths


def _tensorstore(params: Path) -> Any:
    try:
        return importlib.import_module("tensorstore")
    except ImportError as error:
        raise CheckpointError(
            f"{params}: JAX parameters are read through tensorstore, which is not installed: "
            "pip install tensorstore (the optional extra `jax` of pi0_ros), or convert the "
            "checkpoint to model.safetensors with openpi's own script"
        ) from error
