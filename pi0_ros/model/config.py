"""Dimensions of the network, and the named sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace


class ConfigError(ValueError):
    """A model configuration that cannot be built; names the value and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionConfig:
    """SigLIP tower: ``width`` channels, ``depth`` blocks, square images in pixels."""

    width: int
    depth: int
    mlp: int
    heads: int
    patch: int = 14
    image_size: int = 224

    def __post_init__(self) -> None:
        require_positive(self, "width", "depth", "mlp", "heads", "patch", "image_size")
        require_divisible("vision.width", self.width, "vision.heads", self.heads)
        require_divisible("vision.image_size", self.image_size, "vision.patch", self.patch)

    @property
    def tokens(self) -> int:
        """Tokens per image: 256 for 224 px in patches of 14 px."""
        return (self.image_size // self.patch) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmaConfig:
    """One transformer stack: the language backbone or the action expert."""

    width: int
    depth: int
    mlp: int
    heads: int
    kv_heads: int
    head_dim: int

    def __post_init__(self) -> None:
        require_positive(self, "width", "depth", "mlp", "heads", "kv_heads", "head_dim")
        require_divisible("heads", self.heads, "kv_heads", self.kv_heads)
        if self.head_dim % 2:
            raise ConfigError(
                f"head_dim is {self.head_dim}: rotary embedding pairs halves, use an even number"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pi0Config:
    """Everything that decides the shape of a π0 or π0.5 network.

    ``action_dim`` (D) is the padded width of states and actions, ``action_horizon``
    (H) the steps of a chunk, ``max_tokens`` (L) the prompt's length in tokens.
    ``pi05`` puts the state into the prompt and conditions the expert's norms on time.
    ``min_period`` and ``max_period`` bound the time embedding's periods, in flow time.

    Raises :class:`ConfigError` where the two stacks cannot share attention.
    """

    vision: VisionConfig
    backbone: GemmaConfig
    expert: GemmaConfig
    vocab: int
    action_dim: int = 32
    action_horizon: int = 50
    max_tokens: int = 48
    pi05: bool = False
    min_period: float = 4e-3
    max_period: float = 4.0

    def __post_init__(self) -> None:
        require_positive(self, "vocab", "action_dim", "action_horizon", "max_tokens")
        for name in ("depth", "heads", "kv_heads", "head_dim"):
            backbone, expert = getattr(self.backbone, name), getattr(self.expert, name)
            if backbone != expert:
                raise ConfigError(
                    f"backbone.{name} is {backbone} and expert.{name} is {expert}: "
                    "the stacks share attention layer by layer, make them equal"
                )
        check_time_embedding(self.expert.width, self.min_period, self.max_period)

    @property
    def suffix_tokens(self) -> int:
        """Suffix length S: the actions, and before them π0's state token."""
        return self.action_horizon + (0 if self.pi05 else 1)


def check_time_embedding(width: int, min_period: float, max_period: float) -> None:
    """Raises :class:`ConfigError` unless a time embedding can have this width and these periods."""
    if width % 2 or width < 4:
        raise ConfigError(
            f"expert.width is {width}: the time embedding is half sines and half cosines, use an "
            "even number of at least 4"
        )
    if not 0 < min_period < max_period:
        raise ConfigError(
            f"min_period {min_period} and max_period {max_period}: use 0 < min_period < max_period"
        )


def require_positive(config: object, *names: str) -> None:
    """Raises :class:`ConfigError` unless these attributes of ``config`` are positive."""
    for name in names:
        value = getattr(config, name)
        if value < 1:
            raise ConfigError(f"{name} is {value}: use a positive number")


def require_divisible(name: str, value: int, by: str, divisor: int) -> None:
    """Raises :class:`ConfigError` unless ``value`` is a multiple of ``divisor``."""
    if value % divisor:
        raise ConfigError(f"{name} {value} is not a multiple of {by} {divisor}: change one of them")


PI0 = Pi0Config(
    vision=VisionConfig(width=1152, depth=27, mlp=4304, heads=16),
    backbone=GemmaConfig(width=2048, depth=18, mlp=16384, heads=8, kv_heads=1, head_dim=256),
    expert=GemmaConfig(width=1024, depth=18, mlp=4096, heads=8, kv_heads=1, head_dim=256),
    vocab=257152,
)
PI05 = replace(PI0, pi05=True, max_tokens=200)
#: For tests and demonstrations on a CPU: coarse patches give 64 tokens per view.
TINY = Pi0Config(
    vision=VisionConfig(width=64, depth=2, mlp=128, heads=4, patch=28),
    backbone=GemmaConfig(width=96, depth=4, mlp=256, heads=4, kv_heads=1, head_dim=24),
    expert=GemmaConfig(width=64, depth=4, mlp=128, heads=4, kv_heads=1, head_dim=24),
    vocab=512,
)

VARIANTS = {"pi0": PI0, "pi05": PI05, "tiny": TINY}


def variant(name: str) -> Pi0Config:
    """The configuration called ``name``. Raises :class:`ConfigError` listing the known names."""
    if name not in VARIANTS:
        raise ConfigError(f"no model variant {name!r}: use one of {', '.join(VARIANTS)}")
    return VARIANTS[name]
