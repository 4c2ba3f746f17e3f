"""SigLIP vision tower: an image to a grid of tokens in the backbone's width."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from pi0_ros.model.config import VisionConfig


class VisionAttention(nn.Module):
    """Full self-attention among the tokens of one image."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = nn.Linear(config.width, config.width)
        self.k_proj = nn.Linear(config.width, config.width)
        self.v_proj = nn.Linear(config.width, config.width)
        self.out_proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (N, heads, T, head_dim)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


class VisionMlp(nn.Module):
    """Two linears around a tanh-approximated GELU."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.width, config.mlp)
        self.fc2 = nn.Linear(config.mlp, config.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(gelu(self.fc1(x), approximate="tanh"))
        return out


class VisionBlock(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.self_attn = VisionAttention(config)
        self.layer_norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = VisionMlp(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class SigLip(nn.Module):
    """Patches, blocks, a norm and the projection to the backbone; no pooling."""

    def __init__(self, config: VisionConfig, output_width: int) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, config.width, config.patch, stride=config.patch)
        self.position_embedding = nn.Embedding(config.tokens, config.width)
        self.layers = nn.ModuleList(VisionBlock(config) for _ in range(config.depth))
        self.post_layernorm = nn.LayerNorm(config.width, eps=1e-6)
        self.projector = nn.Linear(config.width, output_width)

    def embed_patches(self, images: Tensor) -> Tensor:
        """Images (N, 3, size, size) in [-1, 1] to patches with their positions, (N, T, width).

        They are added in float32, whatever the compute dtype is.
        """
        patches = self.patch_embedding(images.to(self.patch_embedding.weight.dtype))
        x: Tensor = patches.flatten(2).transpose(1, 2) + self.position_embedding.weight
        # The convolution stores channels first, and every sum would keep that memory layout.
        return x.to(self.projector.weight.dtype).contiguous()

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, size, size) in [-1, 1] to tokens (N, T, output_width), row-major."""
        x = self.embed_patches(images)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.projector(self.post_layernorm(x))
        return out
