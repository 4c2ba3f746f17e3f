"""``pi0 robot``: the operator's five verbs."""

from __future__ import annotations

import argparse

from pi0_ros.cli.program import become, ros_name

_CLIENT = "pi0_ros.clients.operate"

_VERBS = {
    "start": "let the policy, or whoever comes, drive it from where it is",
    "stop": "brake within limits and stand until `start`",
    "estop": "the same, latched until `reset` and then `start`",
    "reset": "leave the e-stop for the stop",
    "home": "move to the home pose within limits and stand there until `start`",
}


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "robot",
        help="start, stop, e-stop, reset or send home a robot that the suite drives",
        description="Calls a service of the running chunk_executor, prints its answer and ends "
        "with 0 if it was done, 1 if it was refused, 2 if nobody answered. It takes a second to "
        "find the node: what must stop at once needs the e-stop of the robot.",
    )
    actions = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, summary in _VERBS.items():
        action = actions.add_parser(name, help=summary, description=f"To {summary}.")
        action.add_argument(
            "--node",
            type=ros_name,
            default="chunk_executor",
            metavar="NAME",
            help="the executor's node (default: %(default)s)",
        )
        action.add_argument(
            "--namespace",
            type=ros_name,
            default="/",
            metavar="NS",
            help="of the suite (default: %(default)s)",
        )
        action.set_defaults(func=_operate, verb=name)


def _operate(args: argparse.Namespace) -> int:
    become(_CLIENT, [args.verb, "--node", args.node, "--namespace", args.namespace])
