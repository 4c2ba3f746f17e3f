"""``pi0 robot``: start, stop, e-stop, reset or home."""

from __future__ import annotations

import argparse

from pi0_ros.cli.ros_names import add_node

_VERBS = {
    "start": "let the policy or another client drive it from its present pose",
    "stop": "brake within limits and stand still until `start`",
    "estop": "the same, until `reset` and then `start`",
    "reset": "clear the e-stop; the robot stays stopped until `start`",
    "home": "move to the home pose within limits and stand still there until `start`",
}


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "robot",
        description="Calls a service of the running chunk_executor, prints its answer and ends "
        "with 0 if it was done, 1 if it was refused, 2 without an answer. It takes a second to "
        "find the node; to stop the robot at once, use its own e-stop.",
    )
    actions = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, summary in _VERBS.items():
        action = actions.add_parser(name, help=summary, description=f"To {summary}.")
        add_node(action, "chunk_executor")
        action.add_argument(
            "--timeout",
            type=float,
            default=10.0,
            metavar="S",
            help="wait this many seconds for the answer (default: %(default)g)",
        )
        action.set_defaults(func=run, verb=name)


def run(given: argparse.Namespace) -> int:
    """Ask the executor; the exit code is in the description."""
    from pi0_ros.clients.operate import operate

    return operate(given.verb, node=given.node, namespace=given.namespace, timeout_s=given.timeout)
