"""Against numbers of the public implementations: transformers 5.23.0 and timm 1.0.31."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pi0_ros.model.small_blocks import TextEncoder
from pi0_ros.model.small_config import SMALL, HybridConfig, TextConfig, TransformerConfig
from pi0_ros.model.small_vision import Hybrid
from pi0_ros.model.small_weights import distilbert_weights, hybrid_weights

EXACT = {"atol": 1e-5, "rtol": 0}
TEXT = TextConfig(blocks=TransformerConfig(width=4, depth=2, mlp=6, heads=2), vocab=11, positions=6)
VISION = HybridConfig(
    blocks=TransformerConfig(width=8, depth=1, mlp=32, heads=2),
    stem=32,
    layers=(1, 1),
    groups=32,
    image_size=40,
)


def wave(*shape: int, phase: int) -> Tensor:
    """Numbers that need no file: a tensor of sines."""
    steps = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (0.5 * torch.sin(0.7 * steps + phase)).float().reshape(shape)


def waves(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """One tensor per name, told apart by the order of the names."""
    return {name: wave(*shapes[name], phase=i) for i, name in enumerate(sorted(shapes))}


def linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def public_distilbert() -> dict[str, Tensor]:
    shapes = {
        "embeddings.word_embeddings.weight": (11, 4),
        "embeddings.position_embeddings.weight": (6, 4),
        **norm("embeddings.LayerNorm", 4),
    }
    for i in range(2):
        layer = f"transformer.layer.{i}"
        for part in ("q_lin", "k_lin", "v_lin", "out_lin"):
            shapes |= linear(f"{layer}.attention.{part}", 4, 4)
        shapes |= linear(f"{layer}.ffn.lin1", 6, 4) | linear(f"{layer}.ffn.lin2", 4, 6)
        shapes |= norm(f"{layer}.sa_layer_norm", 4) | norm(f"{layer}.output_layer_norm", 4)
    return waves(shapes)


def public_hybrid() -> dict[str, Tensor]:
    resnet = "patch_embed.backbone"
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, 8),
        "pos_embed": (1, 26, 8),
        f"{resnet}.stem.conv.weight": (32, 3, 7, 7),
        **norm(f"{resnet}.stem.norm", 32),
        "patch_embed.proj.weight": (8, 256, 1, 1),
        "patch_embed.proj.bias": (8,),
        **linear("blocks.0.attn.qkv", 24, 8),
        **linear("blocks.0.attn.proj", 8, 8),
        **linear("blocks.0.mlp.fc1", 32, 8),
        **linear("blocks.0.mlp.fc2", 8, 32),
    }
    for name in ("blocks.0.norm1", "blocks.0.norm2", "norm"):
        shapes |= norm(name, 8)
    for i, (inputs, outputs) in enumerate(((32, 128), (128, 256))):
        unit, middle = f"{resnet}.stages.{i}.blocks.0", outputs // 4
        convs = {
            "conv1": (middle, inputs, 1, 1),
            "conv2": (middle, middle, 3, 3),
            "conv3": (outputs, middle, 1, 1),
            "downsample.conv": (outputs, inputs, 1, 1),
        }
        for name, shape in convs.items():
            shapes[f"{unit}.{name}.weight"] = shape
            shapes |= norm(f"{unit}.{name.replace('conv', 'norm')}", shape[0])
    return waves(shapes)


def test_distilbert_gives_the_numbers_of_transformers() -> None:
    text = TextEncoder(TEXT)
    text.load_state_dict(distilbert_weights(public_distilbert()))
    tokens = torch.tensor([[2, 7, 1, 9, 3, 0], [4, 4, 10, 0, 0, 0]])
    mask = torch.tensor([[True] * 6, [True] * 3 + [False] * 3])
    features = text(tokens, mask)
    expected = torch.tensor(
        [
            [-0.193065, 0.486622, 0.585048, 0.402066],
            [-0.197452, 0.492588, 0.584589, 0.402361],
            [-0.188266, 0.477491, 0.585699, 0.400451],
            [-0.156092, 0.403144, 0.589907, 0.380155],
        ]
    )
    torch.testing.assert_close(features[mask][[0, 5, 6, 8]], expected, **EXACT)


def test_the_hybrid_gives_the_numbers_of_timm() -> None:
    hybrid = Hybrid(VISION, 8)
    identity = {"projector.weight": torch.eye(8), "projector.bias": torch.zeros(8)}
    hybrid.load_state_dict(hybrid_weights(public_hybrid()) | identity)
    tokens = hybrid(2 * wave(1, 3, 40, 40, phase=0))
    assert tokens.shape == (1, 25, 8)
    expected = torch.tensor(
        [
            [0.699676, -0.008060, 0.649354, 0.466779, -0.509866, 0.105825, -0.757266, -0.431871],
            [0.712611, 0.000224, 0.649966, 0.468864, -0.500431, 0.114969, -0.754881, -0.431643],
            [0.716267, -0.002691, 0.648147, 0.471721, -0.497290, 0.113629, -0.758827, -0.431195],
        ]
    )
    torch.testing.assert_close(tokens[0, [0, 7, 24]], expected, **EXACT)


def test_full_size_takes_the_shapes_of_the_public_distilbert() -> None:
    with torch.device("meta"):
        text = TextEncoder(SMALL.text)
    assert text.word_embedding.weight.shape == (30522, 768)
    assert text.position_embedding.weight.shape == (512, 768)
    assert text.blocks.layers[5].self_attn.in_proj_weight.shape == (3 * 768, 768)
    assert text.blocks.layers[5].linear1.weight.shape == (3072, 768)


def test_a_prefix_and_task_heads_are_left_out() -> None:
    plain = public_distilbert()
    with_head = {f"distilbert.{name}": tensor for name, tensor in plain.items()}
    with_head |= {"vocab_projector.bias": torch.zeros(11), "vocab_layer_norm.weight": torch.ones(4)}
    assert distilbert_weights(with_head).keys() == distilbert_weights(plain).keys()
    hybrid = public_hybrid()
    assert hybrid_weights(hybrid | {"head.weight": torch.ones(3, 8)}).keys() == (
        hybrid_weights(hybrid).keys()
    )


def test_refuses_weights_of_another_network_by_name() -> None:
    with pytest.raises(ValueError, match=r"not DistilBERT weights.+: encoder\.layer\.0\.x, pooler"):
        distilbert_weights({"pooler": torch.ones(1), "encoder.layer.0.x": torch.ones(1)})
    with pytest.raises(ValueError, match=r"not hybrid weights, names unknown here: layer1\.0"):
        hybrid_weights({"layer1.0": torch.ones(1)})


def test_refuses_distilbert_weights_without_all_of_an_attention() -> None:
    public = public_distilbert()
    del public["transformer.layer.1.attention.k_lin.bias"]
    with pytest.raises(ValueError, match=r"lack transformer\.layer\.1\.attention\.k_lin\.bias"):
        distilbert_weights(public)
