"""Dimensions of π0-small, and the named sizes."""

from __future__ import annotations

from dataclasses import dataclass

from pi0_ros.model.config import (
    ConfigError,
    check_time_embedding,
    require_divisible,
    require_positive,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig:
    """A stack of ``depth`` transformer blocks."""

    width: int
    depth: int
    mlp: int
    heads: int

    def __post_init__(self) -> None:
        require_positive(self, "width", "depth", "mlp", "heads")
        require_divisible("width", self.width, "heads", self.heads)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """DistilBERT: WordPiece ``vocab``, learned ``positions``, post-norm blocks."""

    blocks: TransformerConfig
    vocab: int = 30522
    positions: int = 512

    def __post_init__(self) -> None:
        require_positive(self, "vocab", "positions")


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridConfig:
    """ResNet-ViT hybrid: bottleneck stages of ``layers`` units, then a ViT.

    ``stem`` is the stem's channel count; stage i has ``4 * stem * 2**i`` channels,
    normalised in ``groups`` groups. ``image_size`` is in pixels.
    """

    blocks: TransformerConfig
    stem: int = 64
    layers: tuple[int, ...] = (2, 2, 2, 2)
    groups: int = 32
    image_size: int = 224

    def __post_init__(self) -> None:
        require_positive(self, "stem", "groups", "image_size")
        if not self.layers or min(self.layers) < 1:
            raise ConfigError(f"layers is {self.layers}: give each stage at least one unit")
        require_divisible("stem", self.stem, "groups", self.groups)
        if self.image_size % self.stride:
            raise ConfigError(
                f"image_size {self.image_size} is not a multiple of the stride {self.stride} of "
                f"{len(self.layers)} stages: change one of them"
            )

    @property
    def stride(self) -> int:
        """Pixels between two tokens: stem and pooling quarter the image, stages after 1 halve."""
        return int(2 ** (len(self.layers) + 1))

    @property
    def channels(self) -> tuple[int, ...]:
        """Output channels of each stage."""
        return tuple(4 * self.stem * 2**i for i in range(len(self.layers)))

    @property
    def tokens(self) -> int:
        """Tokens per image: 49 for 224 px at stride 32."""
        return (self.image_size // self.stride) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pi0SmallConfig:
    """Everything that decides the shape of a π0-small network.

    ``views`` camera slots have one hybrid each. ``action_dim`` (D) is the padded width
    of states and actions, ``action_horizon`` (H) the steps of a chunk, ``max_tokens``
    (L) the prompt's length in tokens. ``min_period`` and ``max_period`` bound the time
    embedding's periods, in flow time.
    """

    text: TextConfig
    vision: HybridConfig
    encoder: TransformerConfig
    expert: TransformerConfig
    views: int = 3
    action_dim: int = 32
    action_horizon: int = 50
    max_tokens: int = 48
    min_period: float = 4e-3
    max_period: float = 4.0

    def __post_init__(self) -> None:
        require_positive(self, "views", "action_dim", "action_horizon", "max_tokens")
        if self.max_tokens > self.text.positions:
            raise ConfigError(
                f"max_tokens is {self.max_tokens} and text.positions {self.text.positions}: "
                "the text encoder has no position for the last tokens, use fewer"
            )
        check_time_embedding(self.expert.width, self.min_period, self.max_period)

    @property
    def vocab(self) -> int:
        """Vocabulary size of the text encoder."""
        return self.text.vocab


_BASE = {"width": 768, "mlp": 3072, "heads": 12}
#: 470 M parameters; which numbers are published and which are ours: docs/reference/pi0_small.md.
SMALL = Pi0SmallConfig(
    text=TextConfig(blocks=TransformerConfig(depth=6, **_BASE)),
    vision=HybridConfig(blocks=TransformerConfig(width=384, depth=12, mlp=1536, heads=6)),
    encoder=TransformerConfig(depth=12, **_BASE),
    expert=TransformerConfig(depth=14, **_BASE),
)
#: For tests and demonstrations on a CPU.
SMALL_TINY = Pi0SmallConfig(
    text=TextConfig(
        blocks=TransformerConfig(width=48, depth=2, mlp=96, heads=4), vocab=512, positions=64
    ),
    vision=HybridConfig(
        blocks=TransformerConfig(width=32, depth=2, mlp=64, heads=4),
        stem=8,
        layers=(1, 1, 1, 1),
        groups=4,
    ),
    encoder=TransformerConfig(width=64, depth=2, mlp=128, heads=4),
    expert=TransformerConfig(width=64, depth=2, mlp=128, heads=4),
)

SMALL_VARIANTS = {"small": SMALL, "small_tiny": SMALL_TINY}
