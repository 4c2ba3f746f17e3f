"""``pi0 checkpoint``: create, inspect, convert, verify and load checkpoints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pi0_ros.cli.checkpoint_load import add_load_parser

if TYPE_CHECKING:
    from pi0_ros.checkpoint import LoadedCheckpoint


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``checkpoint`` and its own verbs."""
    parser = subparsers.add_parser("checkpoint")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    create = verbs.add_parser("create", help="write an untrained checkpoint for an embodiment")
    create.add_argument("embodiment", metavar="EMBODIMENT", help="name, or path of a YAML file")
    create.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    create.add_argument("--config", default="tiny", help="model variant (default: %(default)s)")
    create.add_argument(
        "--seed", type=_seed, default=0, help="of the weights (default: %(default)s)"
    )
    create.set_defaults(func=_create)

    inspect = verbs.add_parser(
        "inspect", help="show the contents of a checkpoint of any project, and what is missing"
    )
    inspect.add_argument("directory", type=Path, metavar="PATH")
    inspect.set_defaults(func=_inspect)
    _add_convert(verbs)
    _add_verify(verbs)
    add_load_parser(verbs)


def _add_convert(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    convert = verbs.add_parser(
        "convert", help="convert an openpi or LeRobot checkpoint to the format of this suite"
    )
    convert.add_argument("source", type=Path, metavar="SRC", help="folder of the checkpoint")
    convert.add_argument("--embodiment", required=True, metavar="E", help="name, or a YAML file")
    convert.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    convert.add_argument("--asset", metavar="ID", help="statistics of openpi, if there are several")
    convert.add_argument("--stats", type=Path, metavar="FILE", help="a norm_stats.json to use")
    convert.add_argument("--tokenizer", type=Path, metavar="PATH", help="SentencePiece model")
    convert.add_argument(
        "--delta",
        action=argparse.BooleanOptionalAction,
        help="actions are relative to the state, except grippers and velocities",
    )
    convert.add_argument("--horizon", type=_positive, metavar="N", help="steps of a chunk")
    convert.add_argument(
        "--same-order", action="store_true", help="accept other names for the same dimensions"
    )
    convert.add_argument(
        "--robot-transform",
        choices=("none", "aloha", "aloha_lerobot"),
        help="joint directions and gripper units of the training, if the files do not name them",
    )
    convert.add_argument(
        "--state-in-prompt",
        action=argparse.BooleanOptionalAction,
        help="π0.5 only: --no-… for training with discrete_state_input=False (pi05_libero)",
    )
    convert.set_defaults(func=_convert)


def _add_verify(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verify = verbs.add_parser(
        "verify", help="compare the outputs of a checkpoint of any project with recorded ones"
    )
    verify.add_argument("directory", type=Path, metavar="PATH")
    verify.add_argument(
        "--reference", required=True, type=Path, metavar="FILE", help="recorded inputs and outputs"
    )
    verify.add_argument(
        "--tolerance", type=float, default=1e-4, help="largest error (default: %(default)s)"
    )
    verify.set_defaults(func=_verify)


def _create(args: argparse.Namespace) -> int:
    from pi0_ros.checkpoint import create_untrained
    from pi0_ros.embodiment import load

    create_untrained(args.out, load(args.embodiment), config=args.config, seed=args.seed)
    print(f"{args.out}: untrained {args.config} checkpoint for {args.embodiment}")
    return 0


def _inspect(args: argparse.Namespace) -> int:
    from pi0_ros.checkpoint import Layout, detect, load

    if detect(args.directory).layout is not Layout.OURS:
        return _inspect_foreign(args.directory)
    checkpoint = load(args.directory)
    for key, value in _facts(checkpoint).items():
        print(f"{key:<16}{value}")
    problems = _problems(checkpoint)
    print(f"{'problems':<16}{'none' if not problems else ''}")
    for problem in problems:
        print(f"  - {problem}")
    return 1 if problems else 0


def _inspect_foreign(path: Path) -> int:
    from pi0_ros.checkpoint import ConversionOptions, missing_settings, read
    from pi0_ros.cli.checkpoint_report import foreign_facts

    contents = read(path)
    for key, value in foreign_facts(contents).items():
        print(f"{key:<16}{value}")
    print(f"{'missing':<16}to drive a robot:")
    for gap in (
        "which robot it is for: give --embodiment NAME",
        *missing_settings(contents, ConversionOptions()),
    ):
        print(f"  - {gap}")
    print(f"{'next':<16}pi0 checkpoint convert {path} --embodiment NAME --out DIR")
    return 0


def _convert(args: argparse.Namespace) -> int:
    from pi0_ros.checkpoint import ConversionOptions, convert
    from pi0_ros.cli.checkpoint_report import state_line
    from pi0_ros.embodiment import load

    manifest = convert(
        args.source,
        load(args.embodiment),
        args.out,
        ConversionOptions(
            asset=args.asset,
            stats=args.stats,
            tokenizer=args.tokenizer,
            delta=args.delta,
            horizon=args.horizon,
            same_order=args.same_order,
            robot_transform=args.robot_transform,
            state_in_prompt=args.state_in_prompt,
        ),
    )
    relative = [n for n, d in zip(manifest.action_names, manifest.delta_mask, strict=True) if d]
    print(f"{args.out}: {manifest.name}, {manifest.notes['source']}")
    print(f"{'normalisation':<16}{manifest.normalisation.kind}, {manifest.notes['statistics']}")
    print(f"{'relative':<16}{', '.join(relative) or 'no action'}")
    print(f"{'conventions':<16}{manifest.robot_transform}: {manifest.notes['robot_transform']}")
    print(f"{'state':<16}{state_line(manifest)}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from pi0_ros.checkpoint import verify

    comparisons = verify(args.directory, args.reference)
    failed, scaled = 0, False
    print(f"{'output':<32}{'shape':<14}{'error':>9}{'counted':>9}  within {args.tolerance:g}")
    for comparison in comparisons:
        good = comparison.counted <= args.tolerance
        failed += not good
        shape = "x".join(map(str, comparison.shape))
        scaled |= comparison.counted != comparison.error
        print(
            f"{comparison.name:<32}{shape:<14}{comparison.error:>9.1e}{comparison.counted:>9.1e}  "
            f"{'yes' if good else 'NO'}"
        )
    if scaled:
        print("error: largest absolute difference; counted: of the loss, a square, over 2 √loss")
    print(f"{len(comparisons) - failed} of {len(comparisons)} outputs agree")
    return 1 if failed else 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above zero")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"{value} is not within 0 and 2^63-1")
    return value


def _facts(checkpoint: LoadedCheckpoint) -> dict[str, str]:
    from pi0_ros.cli.checkpoint_report import model_line, state_line

    manifest, config, model = checkpoint.manifest, checkpoint.manifest.model, checkpoint.model
    dtypes = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()})
    norm = manifest.normalisation
    return {
        "id": checkpoint.checkpoint_id,
        "trained": "yes" if manifest.trained else "no, random weights",
        "embodiment": manifest.embodiment,
        "model": model_line(config),
        "parameters": f"{sum(p.numel() for p in model.parameters()):,} ({', '.join(dtypes)}, "
        f"{model.weight_bytes() / 1e6:.1f} MB in memory)",
        "chunk": f"{manifest.horizon} steps of {manifest.step_duration_s:g} s",
        "state": f"{len(manifest.state_names)}: {', '.join(manifest.state_names)}; "
        f"{state_line(manifest)}",
        "actions": f"{len(manifest.action_names)}: {', '.join(manifest.action_names)}",
        "cameras": ", ".join(manifest.cameras),
        "conventions": manifest.robot_transform,
        "normalisation": f"{norm.kind}, eps {norm.eps:g} forward, {norm.inverse_eps:g} back",
        "tokenizer": f"{manifest.tokenizer} ({manifest.tokenizer_kind}), {config.vocab} rows, "
        f"{config.max_tokens} tokens",
        "notes": "; ".join(f"{k}: {v}" for k, v in manifest.notes.items()) or "none",
    }


def _problems(checkpoint: LoadedCheckpoint) -> tuple[str, ...]:
    """Why the checkpoint cannot drive the embodiment that it names."""
    from pi0_ros.checkpoint import check_compatibility
    from pi0_ros.embodiment import EmbodimentError, load

    try:
        embodiment = load(checkpoint.manifest.embodiment)
    except EmbodimentError as error:
        return (f"its embodiment cannot be checked: {error}",)
    return check_compatibility(checkpoint.manifest, embodiment)
