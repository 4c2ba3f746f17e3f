"""openpi's JAX parameters under our names: a pure mapping from tree paths.

A leaf stacks all layers of a stack on its first axis and has a separate axis for heads.
Names of expert leaves end in ``_1``. LoRA leaves are merged into the leaves they adapt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pi0_ros.checkpoint.dimensions import Hints
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.files import listed
from pi0_ros.checkpoint.tensors import LazyTensor, LazyTensors

#: Cuts a tensor of ours out of a leaf.
_Cut = Callable[[Tensor], Tensor]

_VISION = "PaliGemma/img/"
_BLOCK = _VISION + "Transformer/encoderblock/"
_ATTENTION = _BLOCK + "MultiHeadDotProductAttention_0/"
_LLM = "PaliGemma/llm/"
_LAYERS = _LLM + "layers/"
_LORA = ("lora_a", "lora_b")


def from_jax(tree: LazyTensors) -> dict[str, LazyTensor]:
    """Tensors of a parameter tree ``{path: leaf}``, paths joined by ``/``, under our names.

    A trailing ``value`` of every path, and a leading ``params``, are dropped. Raises
    :class:`CheckpointError` listing unknown leaves.
    """
    leaves = {_clean(path): leaf for path, leaf in tree.items()}
    adapters = {path: leaf for path, leaf in leaves.items() if path.endswith(_LORA)}
    ours: dict[str, LazyTensor] = {}
    unknown = []
    for path, leaf in leaves.items():
        if path.endswith(_LORA):
            continue
        cuts = list(_cuts(path, leaf.shape))
        if not cuts:
            unknown.append(path)
        shared = _Shared(_merged(path, leaf, adapters))
        for name, cut in cuts:
            ours[name] = shared.cut(cut, path)
    if unknown or adapters:
        problems = [*listed("unknown", unknown), *listed("adapters of nothing", sorted(adapters))]
        raise CheckpointError(f"not the parameters of a π0 or π0.5: {'; '.join(problems)}")
    return ours


def head_hints(tree: LazyTensors) -> Hints:
    """Head counts, which the shapes of the tree show and those of our tensors do not."""
    shapes = {_clean(path): leaf.shape for path, leaf in tree.items()}
    query = shapes.get(_ATTENTION + "query/kernel", ())
    q, kv = (shapes.get(f"{_LAYERS}attn/{name}/w", ()) for name in ("q_einsum", "kv_einsum"))
    return Hints(
        vision_heads=query[2] if len(query) == 4 else None,
        heads=q[1] if len(q) == 4 else None,
        head_dim=q[3] if len(q) == 4 else None,
        kv_heads=kv[2] if len(kv) == 5 else None,
    )


@dataclass(slots=True)
class _Shared:
    """A leaf that holds many tensors: read with the first and released after the last of them.

    All layers of a stack are in one leaf of gigabytes. Reading it once per layer would
    multiply the time, and keeping every leaf would double the memory.
    """

    leaf: LazyTensor
    waiting: int = 0
    held: Tensor | None = None

    def cut(self, cut: _Cut, path: str) -> LazyTensor:
        try:
            shape = tuple(cut(torch.empty(self.leaf.shape, device="meta")).shape)
        except (IndexError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"leaf {path} has shape {self.leaf.shape}, which no π0 or π0.5 has ({error})"
            ) from error
        self.waiting += 1
        return LazyTensor(shape=shape, dtype=self.leaf.dtype, read=lambda: self._read(cut))

    def _read(self, cut: _Cut) -> Tensor:
        whole = self.leaf.read() if self.held is None else self.held
        self.waiting -= 1
        self.held = whole if self.waiting > 0 else None
        return cut(whole).clone(memory_format=torch.contiguous_format)


def _clean(path: str) -> str:
    parts = path.split("/")
    if parts[-1] == "value":
        parts = parts[:-1]
    return "/".join(parts[1:] if parts[0] == "params" else parts)


def _merged(path: str, leaf: LazyTensor, adapters: dict[str, LazyTensor]) -> LazyTensor:
    """The leaf plus its low-rank product, if it has one; takes it out of ``adapters``.

    openpi scales by alpha / rank, which is 1 in every published configuration, and does
    not scale in the MLP. It keeps the frozen leaf in bfloat16, which would round away much of
    the learned change, so the sum has the finest dtype of the three.
    """
    stem = path.removesuffix("/w") + "/" if path.endswith("/w") else path + "_"
    a, b = (adapters.pop(stem + suffix, None) for suffix in _LORA)
    if a is None or b is None:
        if a is not b:
            raise CheckpointError(f"leaf {stem}lora_a or {stem}lora_b is missing; copy it again")
        return leaf
    low, high = a, b
    dtype = torch.promote_types(leaf.dtype, torch.promote_types(low.dtype, high.dtype))

    def read() -> Tensor:
        product = low.read().float() @ high.read().float()
        return (leaf.read().float() + product).to(dtype)

    return LazyTensor(shape=leaf.shape, dtype=dtype, read=read)


def _cuts(path: str, shape: tuple[int, ...]) -> Iterator[tuple[str, _Cut]]:
    """Names of our tensors in leaf ``path``, each with the function that cuts it out."""
    if path in _SINGLE:
        yield _SINGLE[path]
        return
    stack = "expert" if _is_expert(path) else "backbone"
    for pattern, target, cut in _STACKED:
        matches = pattern == path if pattern.startswith(_BLOCK) else pattern == _unsuffixed(path)
        if matches:
            prefix = "vision" if pattern.startswith(_BLOCK) else stack
            for layer in range(shape[0] if shape else 0):
                yield f"{prefix}.layers.{layer}.{target}", _of_layer(layer, cut)


def _of_layer(layer: int, cut: _Cut) -> _Cut:
    return lambda leaf: cut(leaf[layer])


def _is_expert(path: str) -> bool:
    return any(part.endswith("_1") for part in path.removeprefix(_LAYERS).split("/"))


def _unsuffixed(path: str) -> str:
    return "/".join(part.removesuffix("_1") for part in path.split("/"))


def _same(leaf: Tensor) -> Tensor:
    return leaf


def _transposed(leaf: Tensor) -> Tensor:
    return leaf.transpose(-2, -1)


def _heads_out(kernel: Tensor) -> Tensor:
    """(width, heads, head_dim) to (heads * head_dim, width)."""
    return kernel.flatten(1).T


def _heads_in(kernel: Tensor) -> Tensor:
    """(heads, head_dim, width) to (width, heads * head_dim)."""
    return kernel.flatten(0, 1).T


def _einsum(kernel: Tensor) -> Tensor:
    """(heads, width, head_dim) to (heads * head_dim, width)."""
    return kernel.transpose(1, 2).flatten(0, 1)


def _table() -> tuple[dict[str, tuple[str, _Cut]], tuple[tuple[str, str, _Cut], ...]]:
    single: dict[str, tuple[str, _Cut]] = {
        _VISION + "embedding/kernel": (
            "vision.patch_embedding.weight",
            lambda leaf: leaf.permute(3, 2, 0, 1),
        ),
        _VISION + "embedding/bias": ("vision.patch_embedding.bias", _same),
        _VISION + "pos_embedding": ("vision.position_embedding.weight", lambda leaf: leaf[0]),
        _VISION + "Transformer/encoder_norm/scale": ("vision.post_layernorm.weight", _same),
        _VISION + "Transformer/encoder_norm/bias": ("vision.post_layernorm.bias", _same),
        _VISION + "head/kernel": ("vision.projector.weight", _transposed),
        _VISION + "head/bias": ("vision.projector.bias", _same),
        _LLM + "embedder/input_embedding": ("embed_tokens.weight", _same),
        _LLM + "final_norm/scale": ("backbone.norm.weight", _same),
        _LLM + "final_norm_1/scale": ("expert.norm.weight", _same),
        _LLM + "final_norm_1/Dense_0/kernel": ("expert.norm.dense.weight", _transposed),
        _LLM + "final_norm_1/Dense_0/bias": ("expert.norm.dense.bias", _same),
    }
    for name in (
        *("state_proj", "action_in_proj", "action_out_proj", "action_time_mlp_in"),
        *("action_time_mlp_out", "time_mlp_in", "time_mlp_out"),
    ):
        single[name + "/kernel"] = (name + ".weight", _transposed)
        single[name + "/bias"] = (name + ".bias", _same)
    stacked: list[tuple[str, str, _Cut]] = []
    for i in (0, 1):
        stacked += [
            (f"{_BLOCK}LayerNorm_{i}/scale", f"layer_norm{i + 1}.weight", _same),
            (f"{_BLOCK}LayerNorm_{i}/bias", f"layer_norm{i + 1}.bias", _same),
            (f"{_BLOCK}MlpBlock_0/Dense_{i}/kernel", f"mlp.fc{i + 1}.weight", _transposed),
            (f"{_BLOCK}MlpBlock_0/Dense_{i}/bias", f"mlp.fc{i + 1}.bias", _same),
        ]
    for theirs in ("query", "key", "value"):
        name = f"self_attn.{theirs[0]}_proj"
        stacked.append((f"{_ATTENTION}{theirs}/kernel", name + ".weight", _heads_out))
        stacked.append((f"{_ATTENTION}{theirs}/bias", name + ".bias", torch.flatten))
    stacked += [
        (_ATTENTION + "out/kernel", "self_attn.out_proj.weight", _heads_in),
        (_ATTENTION + "out/bias", "self_attn.out_proj.bias", _same),
        (_LAYERS + "attn/q_einsum/w", "self_attn.q_proj.weight", _einsum),
        (_LAYERS + "attn/kv_einsum/w", "self_attn.k_proj.weight", lambda leaf: _einsum(leaf[0])),
        (_LAYERS + "attn/kv_einsum/w", "self_attn.v_proj.weight", lambda leaf: _einsum(leaf[1])),
        (_LAYERS + "attn/attn_vec_einsum/w", "self_attn.o_proj.weight", _heads_in),
        (_LAYERS + "mlp/gating_einsum", "mlp.gate_proj.weight", lambda leaf: leaf[0].T),
        (_LAYERS + "mlp/gating_einsum", "mlp.up_proj.weight", lambda leaf: leaf[1].T),
        (_LAYERS + "mlp/linear", "mlp.down_proj.weight", _transposed),
    ]
    for theirs, ours in (("attention", "input"), ("ffw", "post_attention")):
        norm, name = f"{_LAYERS}pre_{theirs}_norm", f"{ours}_layernorm"
        stacked += [
            (norm + "/scale", name + ".weight", _same),
            (norm + "/Dense_0/kernel", name + ".dense.weight", _transposed),
            (norm + "/Dense_0/bias", name + ".dense.bias", _same),
        ]
    return single, tuple(stacked)


_SINGLE, _STACKED = _table()
