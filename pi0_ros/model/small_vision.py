"""ResNet-ViT hybrid of π0-small: an image to a coarse grid of tokens.

The R26+S/32 of "How to train your ViT" (arXiv 2106.10270): ResNetV2 bottlenecks with
weight-standardised convolutions and group norm, then a ViT over their last feature map.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad, relu

from pi0_ros.model.small_config import HybridConfig, TransformerConfig


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pads (N, C, H, W) with zeros to an output of ceil(size / stride); an odd zero goes last.

    This is TensorFlow's rule, which the public weights were trained with.
    """
    margins: list[int] = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        margins += [total // 2, total - total // 2]
    return pad(x, margins) if any(margins) else x


class StandardisedConv(nn.Module):
    """Convolution whose filters are normalised to mean 0 and variance 1; no bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        # bfloat16 is too coarse for the variance of a filter of 4,608 weights.
        weight = self.weight.float()
        var, mean = torch.var_mean(weight, dim=(1, 2, 3), correction=0, keepdim=True)
        weight = (weight - mean) * torch.rsqrt(var + 1e-8)
        padded = pad_same(x, weight.shape[-1], self.stride)
        return conv2d(padded, weight.to(x.dtype), stride=self.stride)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut; the 3x3 one may stride."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        middle = outputs // 4
        self.conv1 = StandardisedConv(inputs, middle, 1)
        self.norm1 = nn.GroupNorm(groups, middle)
        self.conv2 = StandardisedConv(middle, middle, 3, stride)
        self.norm2 = nn.GroupNorm(groups, middle)
        self.conv3 = StandardisedConv(middle, outputs, 1)
        self.norm3 = nn.GroupNorm(groups, outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                OrderedDict(
                    conv=StandardisedConv(inputs, outputs, 1, stride),
                    norm=nn.GroupNorm(groups, outputs),
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.norm1(self.conv1(x)))
        y = relu(self.norm2(self.conv2(y)))
        return relu(self.norm3(self.conv3(y)) + self.downsample(x))


class ResNet(nn.Module):
    """Stem, pooling and stages; names of the modules are those of the public weights."""

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            OrderedDict(
                conv=StandardisedConv(3, config.stem, 7, 2),
                norm=nn.GroupNorm(config.groups, config.stem),
                act=nn.ReLU(),
            )
        )
        stages, inputs = [], config.stem
        for i, (units, outputs) in enumerate(zip(config.layers, config.channels, strict=True)):
            blocks = nn.Sequential()
            for unit in range(units):
                stride = 2 if i > 0 and unit == 0 else 1
                blocks.append(Bottleneck(inputs, outputs, stride, config.groups))
                inputs = outputs
            stages.append(nn.Sequential(OrderedDict(blocks=blocks)))
        self.stages = nn.Sequential(*stages)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, size, size) to features (N, C, size / stride, size / stride)."""
        # After the ReLU nothing is negative, so padded zeros never change the maximum.
        pooled = max_pool2d(pad_same(self.stem(images), 3, 2), 3, 2)
        out: Tensor = self.stages(pooled)
        return out


def pre_norm(config: TransformerConfig) -> nn.TransformerEncoder:
    """ViT blocks and a final norm, (N, T, width) to the same shape."""
    block = nn.TransformerEncoderLayer(
        config.width,
        config.heads,
        config.mlp,
        dropout=0.0,
        activation="gelu",
        layer_norm_eps=1e-6,
        batch_first=True,
        norm_first=True,
    )
    norm = nn.LayerNorm(config.width, eps=1e-6)
    # Nested tensors would wait for the device to count the padding.
    return nn.TransformerEncoder(block, config.depth, norm=norm, enable_nested_tensor=False)


class Hybrid(nn.Module):
    """One camera's encoder: ResNet features as patches of a ViT, then the projection out."""

    def __init__(self, config: HybridConfig, output_width: int) -> None:
        super().__init__()
        width = config.blocks.width
        self.resnet = ResNet(config)
        self.patch_projection = nn.Conv2d(config.channels[-1], width, 1)
        # Its output is not used. The public weights were trained with it.
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embedding = nn.Parameter(torch.zeros(1, 1 + config.tokens, width))
        self.vit = pre_norm(config.blocks)
        self.projector = nn.Linear(width, output_width)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, size, size) in [-1, 1] to tokens (N, T, output_width), row-major."""
        features = self.resnet(images.to(self.projector.weight.dtype))
        patches = self.patch_projection(features).flatten(2).transpose(1, 2)
        first = self.class_token.expand(len(patches), -1, -1)
        x = self.vit(torch.cat((first, patches), dim=1) + self.position_embedding)
        out: Tensor = self.projector(x[:, 1:])
        return out
