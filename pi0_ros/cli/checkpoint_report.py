"""The text of ``pi0 checkpoint inspect`` for a checkpoint of any layout."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pi0_ros.checkpoint import Found, Manifest
    from pi0_ros.model import Pi0Config, Pi0SmallConfig


def foreign_facts(found: Found) -> dict[str, str]:
    """Facts about a checkpoint of another project, by label."""
    config = found.config
    elements = sum(prod(t.shape) for t in found.tensors.values())
    stored = sum(prod(t.shape) * t.dtype.itemsize for t in found.tensors.values())
    facts = {
        "layout": f"{found.layout.value}, {found.root}",
        "model": model_line(config),
        "heads": f"vision {config.vision.heads}, Gemma {config.backbone.heads} of "
        f"{config.backbone.head_dim} with {config.backbone.kv_heads} for keys and values",
        "images": f"{config.vision.image_size} px, {config.vision.tokens} tokens each",
        "tensors": f"{found.stored} stored, {len(found.tensors)} used, {elements:,} parameters "
        f"({', '.join(found.dtypes)}, {stored / 1e6:.1f} MB; float32 {elements * 4e-6:.1f} MB)",
        "token table": f"{config.vocab} rows, "
        + ("stored as the output head" if found.tied else "stored under its own name"),
        "chunk": f"{found.horizon} steps" if found.horizon else "steps unknown",
        "normalisation": _statistics(found),
        "delta": {None: "unknown", True: "yes", False: "no"}[found.relative_actions],
        "actions": ", ".join(found.action_names) or "names unknown",
        "cameras": ", ".join(found.cameras) or "unknown; slots in openpi's order",
        "tokenizer": f"{_tokenizer(found)}; prompts of {config.max_tokens} tokens",
    }
    if found.assets:
        facts["assets"] = ", ".join(found.assets)
    return facts | dict(found.notes)


def state_line(manifest: Manifest) -> str:
    """How the network receives the state."""
    from pi0_ros.model import Pi0Config

    if manifest.state_in_prompt:
        return "in the prompt"
    if isinstance(manifest.model, Pi0Config) and manifest.model.pi05:
        return "not seen by the network"
    return "an input of its own"


def model_line(config: Pi0Config | Pi0SmallConfig) -> str:
    """The model's generation and sizes."""
    from pi0_ros.model import Pi0SmallConfig

    if isinstance(config, Pi0SmallConfig):
        stacks = {
            "vision": config.vision.blocks,
            "text": config.text.blocks,
            "encoder": config.encoder,
            "expert": config.expert,
        }
        sizes = ", ".join(f"{name} {s.width}x{s.depth}" for name, s in stacks.items())
        return f"π0-small, {config.action_dim} wide, {sizes}"
    return (
        f"{'π0.5' if config.pi05 else 'π0'}, {config.action_dim} wide, "
        f"vision {config.vision.width}x{config.vision.depth}, "
        f"backbone {config.backbone.width}x{config.backbone.depth}, "
        f"expert {config.expert.width}x{config.expert.depth}"
    )


def _tokenizer(found: Found) -> str:
    from pi0_ros.checkpoint import CheckpointError, find_tokenizer

    try:
        return str(found.tokenizer or find_tokenizer(found.root))
    except CheckpointError:
        return "none"


def _statistics(found: Found) -> str:
    stats = found.statistics
    if stats is None:
        return f"none: {found.no_statistics_because}"
    widths = [
        f"{what} {'unchanged' if part is None else f'{len(part.mean)} wide'}"
        for what, part in (("state", stats.state), ("actions", stats.actions))
    ]
    back = "" if stats.inverse_eps == stats.eps else f", {stats.inverse_eps:g} back"
    return f"{stats.kind}, eps {stats.eps:g}{back}; {', '.join(widths)}; from {stats.source}"
