"""The text of ``pi0 checkpoint inspect`` for a checkpoint of any layout."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pi0_ros.checkpoint import CheckpointContents, CheckpointManifest
    from pi0_ros.model import Pi0Config, Pi0SmallConfig


def foreign_facts(contents: CheckpointContents) -> dict[str, str]:
    """Facts about a checkpoint of another project, by label."""
    config = contents.config
    elements = sum(prod(t.shape) for t in contents.tensors.values())
    stored = sum(prod(t.shape) * t.dtype.itemsize for t in contents.tensors.values())
    facts = {
        "layout": f"{contents.layout.value}, {contents.root}",
        "model": model_line(config),
        "heads": f"vision {config.vision.heads}, Gemma {config.backbone.heads} of "
        f"{config.backbone.head_dim} with {config.backbone.kv_heads} for keys and values",
        "images": f"{config.vision.image_size} px, {config.vision.tokens} tokens each",
        "tensors": f"{contents.stored} stored, {len(contents.tensors)} used, "
        f"{elements:,} parameters ({', '.join(contents.dtypes)}, {stored / 1e6:.1f} MB; "
        f"float32 {elements * 4e-6:.1f} MB)",
        "token table": f"{config.vocab} rows, "
        + ("stored as the output head" if contents.tied else "stored under its own name"),
        "chunk": f"{contents.horizon} steps" if contents.horizon else "steps unknown",
        "normalisation": _statistics(contents),
        "delta": {None: "unknown", True: "yes", False: "no"}[contents.relative_actions],
        "actions": ", ".join(contents.action_names) or "names unknown",
        "cameras": ", ".join(contents.cameras) or "unknown; slots in openpi's order",
        "tokenizer": f"{_tokenizer(contents)}; prompts of {config.max_tokens} tokens",
    }
    if contents.assets:
        facts["assets"] = ", ".join(contents.assets)
    return facts | dict(contents.notes)


def state_line(manifest: CheckpointManifest) -> str:
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


def _tokenizer(contents: CheckpointContents) -> str:
    from pi0_ros.checkpoint import CheckpointError, find_tokenizer

    try:
        return str(contents.tokenizer or find_tokenizer(contents.root))
    except CheckpointError:
        return "none"


def _statistics(contents: CheckpointContents) -> str:
    stats = contents.statistics
    if stats is None:
        return f"none: {contents.no_statistics_because}"
    widths = [
        f"{what} {'unchanged' if part is None else f'{len(part.mean)} wide'}"
        for what, part in (("state", stats.state), ("actions", stats.actions))
    ]
    back = "" if stats.inverse_eps == stats.eps else f", {stats.inverse_eps:g} back"
    return f"{stats.kind}, eps {stats.eps:g}{back}; {', '.join(widths)}; from {stats.source}"
