"""One node as a process: signals, spinning, and a shutdown in order."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import Executor
from rclpy.experimental import EventsExecutor
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from pi0_ros.nodes.managed import ManagedNode, ParameterTypeError

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(factory: Callable[[], ManagedNode], args: Sequence[str] | None = None) -> int:
    """Run one node until SIGINT or SIGTERM, then shut it down in order.

    rclpy's own handlers shut the context down at once, before a last command could be sent.
    Therefore a thread waits for the signals and ends the spin; the lifecycle shutdown runs while
    the context is still valid.

    Returns the exit code: 0 after a requested stop; 1 if a parameter has a wrong type, or if
    autostart, a callback or the node failed. A moving robot is braked in any case.
    """
    stop_requested = _await_signals()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = factory()
    except ParameterTypeError as error:
        get_logger("pi0_ros").fatal(f"cannot start: {error}")
        rclpy.try_shutdown()
        return 1
    executor = EventsExecutor()
    executor.add_node(node)
    code = 1
    if not node.get_parameter("autostart").value or autostart(node):
        code = serve(node, executor, stop_requested)
    node.shut_down()
    executor.remove_node(node)
    node.destroy_node()
    rclpy.try_shutdown()
    # Under `ros2 launch` a Ctrl-C arrives twice, from the terminal and from launch. The second
    # signal must not turn a clean exit into a failure.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    return code


def _await_signals() -> Future[bytes]:
    """A future that is done once SIGINT or SIGTERM has arrived.

    The interpreter's C handler writes to the pipe in any thread that the kernel chooses. Blocking
    the signals in this thread is not enough: threads that an import has started (OpenBLAS) still
    receive them, and Python's own handler would raise inside a callback.
    """
    reader, writer = os.pipe()  # open for the life of the process
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    stop_requested: Future[bytes] = Future()
    threading.Thread(
        target=lambda: stop_requested.set_result(os.read(reader, 1)), daemon=True
    ).start()
    return stop_requested


def serve(node: ManagedNode, executor: Executor, stop_requested: Future[Any]) -> int:
    """Spin until a stop is requested; 0, or 1 if the node or one of its callbacks failed.

    The EventsExecutor re-raises the exception of a callback. The caller then shuts down as after a
    signal and does not leave the robot with its last command.
    """
    try:
        spin_until(executor, stop_requested)
    except Exception as error:  # the orderly shutdown must follow any error
        node.get_logger().fatal(f"a callback failed, shutting down: {error!r}")
        return 1
    return 0 if node.fatal is None else 1


def spin_until(executor: Executor, future: Future[Any]) -> None:
    """Spin until the future is done; any thread may set it.

    The timeout is finite because, without one, the EventsExecutor of Jazzy uses 100 % of a core and
    never checks the future.
    """
    while not future.done():
        executor.spin_until_future_complete(future, timeout_sec=60.0)


def autostart(node: ManagedNode) -> bool:
    """Configure and activate; true if the node is active afterwards."""
    node.trigger_configure()
    if node.failure is None:
        node.trigger_activate()
    return node.failure is None
