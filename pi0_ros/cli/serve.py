"""``pi0 serve``: a checkpoint behind the openpi websocket protocol."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pi0_ros.policy.options import INFERENCE_DEFAULTS

if TYPE_CHECKING:
    from pi0_ros.policy.remote.server import PolicyServer

#: Environment variable with the key, which `ps` does not show.
_KEY_VARIABLE = "PI0_API_KEY"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``serve``."""
    parser = subparsers.add_parser(
        "serve",
        description="Speaks the openpi websocket protocol, for `pi0 up --remote ws://HOST:PORT` "
        "and for every openpi client. GET /healthz answers OK. Runs until Ctrl-C.",
    )
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="DIR")
    parser.add_argument("--embodiment", required=True, help="name, or path of a YAML file")
    parser.add_argument("--host", default="0.0.0.0", help="address (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, default=8000, help="0: any port (default: %(default)s)"
    )
    parser.add_argument(
        "--api-key",
        default=os.environ.get(_KEY_VARIABLE, ""),
        metavar="KEY",
        help=f"key that clients must send; better set {_KEY_VARIABLE} (default: all may connect)",
    )
    parser.add_argument("--prompt", default="", help="instruction for clients that send none")
    for name, (default, description) in INFERENCE_DEFAULTS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            help=f"{description} (default: {default})",
        )
    parser.set_defaults(func=run)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 0 to 65535")
    return int(text)


def run(given: argparse.Namespace) -> int:
    """Serve until a signal stops it. Exit code 2 if the checkpoint cannot be served."""
    from pi0_ros.embodiment import load
    from pi0_ros.policy.backends.local import LocalPolicy
    from pi0_ros.policy.errors import PolicyError
    from pi0_ros.policy.options import InferenceOptions
    from pi0_ros.policy.remote.server import PolicyServer, ServerOptions

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    logging.getLogger("websockets").setLevel(logging.ERROR)  # it logs every port scan
    embodiment = load(given.embodiment)
    try:
        options = InferenceOptions(
            num_steps=given.num_steps, device=given.device, seed=given.seed, threads=given.threads
        )
        policy = LocalPolicy(given.checkpoint, embodiment, options)
        listen = ServerOptions(
            host=given.host, port=given.port, api_key=given.api_key, prompt=given.prompt
        )
        print(f"{policy.checkpoint_id} for {embodiment.name}", flush=True)
        asyncio.run(_serve(PolicyServer(policy, embodiment, listen), given.host))
    except PolicyError as error:
        sys.stderr.write(f"pi0: {error}\n")
        return 2
    return 0


async def _serve(server: PolicyServer, host: str) -> None:
    """Serve until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    port = await server.start()
    print(f"serving on ws://{host}:{port}, Ctrl-C ends it", flush=True)
    await stopped.wait()
    await server.close()
