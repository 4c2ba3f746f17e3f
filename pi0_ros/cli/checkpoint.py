"""``pi0 checkpoint``: create an untrained checkpoint, look into an existing one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pi0_ros.checkpoint import LoadedCheckpoint


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``checkpoint`` and its own verbs."""
    parser = subparsers.add_parser("checkpoint", help="create or inspect a checkpoint")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    create = verbs.add_parser("create", help="write an untrained checkpoint for an embodiment")
    create.add_argument("embodiment", metavar="EMBODIMENT", help="name, or path of a YAML file")
    create.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    create.add_argument("--config", default="tiny", help="model variant (default: %(default)s)")
    create.add_argument("--seed", type=int, default=0, help="of the weights (default: %(default)s)")
    create.set_defaults(func=_create)

    inspect = verbs.add_parser("inspect", help="say what a checkpoint holds and whether it loads")
    inspect.add_argument("directory", type=Path, metavar="DIR")
    inspect.set_defaults(func=_inspect)


def _create(args: argparse.Namespace) -> int:
    from pi0_ros.checkpoint import create_untrained
    from pi0_ros.embodiment import load

    create_untrained(args.out, load(args.embodiment), config=args.config, seed=args.seed)
    print(f"{args.out}: untrained {args.config} checkpoint for {args.embodiment}")
    return 0


def _inspect(args: argparse.Namespace) -> int:
    from pi0_ros.checkpoint import load

    checkpoint = load(args.directory)
    for key, value in _facts(checkpoint).items():
        print(f"{key:<16}{value}")
    problems = _problems(checkpoint)
    print(f"{'problems':<16}{'none' if not problems else ''}")
    for problem in problems:
        print(f"  - {problem}")
    return 1 if problems else 0


def _facts(checkpoint: LoadedCheckpoint) -> dict[str, str]:
    manifest, config, model = checkpoint.manifest, checkpoint.manifest.model, checkpoint.model
    dtypes = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()})
    norm = manifest.normalisation
    return {
        "id": checkpoint.checkpoint_id,
        "trained": "yes" if manifest.trained else "no, random weights",
        "embodiment": manifest.embodiment,
        "model": f"{'π0.5' if config.pi05 else 'π0'}, {config.action_dim} wide, "
        f"vision {config.vision.width}x{config.vision.depth}, "
        f"backbone {config.backbone.width}x{config.backbone.depth}, "
        f"expert {config.expert.width}x{config.expert.depth}",
        "parameters": f"{sum(p.numel() for p in model.parameters()):,} ({', '.join(dtypes)}, "
        f"{model.weight_bytes() / 1e6:.1f} MB in memory)",
        "chunk": f"{manifest.horizon} steps of {manifest.step_duration_s:g} s",
        "state": f"{len(manifest.state_names)}: {', '.join(manifest.state_names)}",
        "actions": f"{len(manifest.action_names)}: {', '.join(manifest.action_names)}",
        "cameras": ", ".join(manifest.cameras),
        "normalisation": f"{norm.kind}, eps {norm.eps:g}",
        "tokenizer": f"{manifest.tokenizer}, {config.vocab} rows, {config.max_tokens} tokens",
        "notes": "; ".join(f"{k}: {v}" for k, v in manifest.notes.items()) or "none",
    }


def _problems(checkpoint: LoadedCheckpoint) -> tuple[str, ...]:
    """What keeps the checkpoint from driving the embodiment it names."""
    from pi0_ros.checkpoint import check_compatibility
    from pi0_ros.embodiment import EmbodimentError, load

    try:
        embodiment = load(checkpoint.manifest.embodiment)
    except EmbodimentError as error:
        return (f"its embodiment cannot be checked: {error}",)
    return check_compatibility(checkpoint.manifest, embodiment)
