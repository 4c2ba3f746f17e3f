"""openpi's PyTorch checkpoints: ``model.safetensors``, and ``config.json`` where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pi0_ros.checkpoint import norm_stats
from pi0_ros.checkpoint.contents import CheckpointContents, Layout
from pi0_ros.checkpoint.dimensions import Hints, derive
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import read_tensors
from pi0_ros.checkpoint.jsonfile import read_object
from pi0_ros.checkpoint.names import TOKEN_TABLE, is_pi05, rename
from pi0_ros.checkpoint.tensors import LazyTensor
from pi0_ros.checkpoint.weights import assemble
from pi0_ros.model import Pi0, Pi0Config

CONFIG_FILE = "config.json"

#: Heads, key and value heads, head size of the stacks that have a name.
_VARIANTS = {"gemma_2b": (8, 1, 256), "gemma_300m": (8, 1, 256), "dummy": (8, 1, 16)}

#: Section and key of a configuration, and the same in ours.
_DIMENSIONS = (
    *(
        (("vision", theirs), ("vision", ours))
        for theirs, ours in (
            ("width", "width"),
            ("depth", "depth"),
            ("mlp_dim", "mlp"),
            ("num_heads", "heads"),
            ("patch_size", "patch"),
            ("image_size", "image_size"),
        )
    ),
    *(
        ((section, theirs), (stack, ours))
        for section, stack in (("vlm", "backbone"), ("action_expert", "expert"))
        for theirs, ours in (
            ("width", "width"),
            ("depth", "depth"),
            ("mlp_dim", "mlp"),
            ("num_heads", "heads"),
            ("num_kv_heads", "kv_heads"),
            ("head_dim", "head_dim"),
        )
    ),
)


def read_openpi(directory: Path, asset: str | None = None) -> CheckpointContents:
    """The contents of an openpi folder. Raises :class:`CheckpointError`."""
    stored = read_tensors(directory)
    tensors = rename(stored)
    data = _config(directory / CONFIG_FILE)
    hints = read_hints(data, directory / CONFIG_FILE)
    config = derive_checked(tensors, hints, data, directory)
    stats_file, why = norm_stats.choose(directory, asset)
    pi05 = is_pi05(tensors)
    return CheckpointContents(
        layout=Layout.OPENPI,
        root=directory,
        config=config,
        tensors=tensors,
        stored=len(stored),
        tied=TOKEN_TABLE in tensors and not any("embed_tokens" in key for key in stored),
        statistics=norm_stats.read(stats_file, pi05=pi05) if stats_file else None,
        no_statistics_because=why,
        assets=tuple(norm_stats.assets(directory)),
        horizon=hints.action_horizon,
        state_in_prompt=read_discrete_state(data, directory / CONFIG_FILE),
    )


def read_hints(data: Mapping[str, Any], path: Path) -> Hints:
    """Values of ``config.json`` beyond the tensors. Raises :class:`CheckpointError`."""
    sections = {key: data.get(key, {}) for key in ("vision", "vlm", "action_expert")}
    for key, section in sections.items():
        if not isinstance(section, dict):
            raise CheckpointError(
                f"{path}: not a model configuration ({key} is {section!r}: an object expected)"
            )
    stack = sections["vlm"] | sections["action_expert"]
    hints = Hints(
        pi05=data.get("pi05"),
        action_dim=data.get("action_dim", data.get("max_action_dim")),
        action_horizon=data.get("action_horizon", data.get("chunk_size")),
        max_tokens=data.get("max_token_len", data.get("tokenizer_max_length")),
        vision_heads=sections["vision"].get("num_heads"),
        heads=stack.get("num_heads"),
        kv_heads=stack.get("num_kv_heads"),
        head_dim=stack.get("head_dim"),
        named=_variant(data),
        min_period=data.get("min_period"),
        max_period=data.get("max_period"),
    )
    _check_numbers(hints, path)
    return hints


def read_discrete_state(data: Mapping[str, Any], path: Path) -> bool | None:
    """Whether a π0.5 prompt contains the state; None if the configuration does not say."""
    value = data.get("discrete_state_input")
    if value is not None and not isinstance(value, bool):
        raise CheckpointError(f"{path}: discrete_state_input is {value!r}: true or false expected")
    return value


def derive_checked(
    tensors: Mapping[str, LazyTensor], hints: Hints, data: Mapping[str, Any], source: Path
) -> Pi0Config:
    """Dimensions of the tensors. Raises :class:`CheckpointError` if ``data`` contradicts them."""
    config = derive({name: t.shape for name, t in tensors.items()}, hints, source)
    said: list[tuple[str, Any, int]] = [("vocab_size", data.get("vocab_size"), config.vocab)]
    for (section, theirs), (part, ours) in _DIMENSIONS:
        value = data.get(section, {}).get(theirs)
        said.append((f"{section}.{theirs}", value, getattr(getattr(config, part), ours)))
    wrong = [f"{key} {value}, tensors {it}" for key, value, it in said if value not in (None, it)]
    if wrong:
        raise CheckpointError(
            f"{source / CONFIG_FILE}: contradicts the tensors: {'; '.join(wrong)}. "
            "Use weights and configuration of the same model"
        )
    return config


def load_openpi(directory: Path | str) -> Pi0:
    """The network of an openpi folder, float32 on the CPU. Raises :class:`CheckpointError`."""
    contents = read_openpi(Path(directory))
    return assemble(contents.config, contents.tensors, directory)


def _config(path: Path) -> dict[str, Any]:
    return read_object(path, "a model configuration") if path.is_file() else {}


def _variant(data: Mapping[str, Any]) -> tuple[int, int, int] | None:
    name = str(data.get("paligemma_variant", data.get("action_expert_variant", "")))
    return _VARIANTS.get(name.removesuffix("_lora"))


def _check_numbers(hints: Hints, path: Path) -> None:
    counts = ("action_dim", "action_horizon", "max_tokens", "vision_heads", "heads", "kv_heads")
    for key in (*counts, "head_dim", "min_period", "max_period"):
        value = getattr(hints, key)
        kind = int | float if key.endswith("period") else int
        if value is not None and not (isinstance(value, kind) and value > 0):
            raise CheckpointError(
                f"{path}: not a model configuration ({key} is {value!r}: a positive number "
                "expected)"
            )
