"""The base of every node of the suite: lifecycle, autostart, errors, orderly shutdown.

A node subclasses :class:`ManagedNode` and implements ``setup`` (read parameters,
create entities), ``start`` and ``stop``. It raises to refuse a transition. rclpy would
swallow the exception, so this class catches it, logs its message and returns FAILURE.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import rclpy
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.executors import Executor
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

_SUCCESS = TransitionCallbackReturn.SUCCESS
_FAILURE = TransitionCallbackReturn.FAILURE

_type = Parameter.Type.from_parameter_value
_DOUBLE_AS_INTEGER = (Parameter.Type.DOUBLE, Parameter.Type.INTEGER)

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Sensors: only the newest message; loss is allowed.
SENSOR_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT
)
#: Commands and chunks: only the newest message; delivery is reliable.
COMMAND_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE
)
#: Status and prompt: a late subscriber gets the last message.
LATCHED_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class ParameterTypeError(ValueError):
    """The value of a parameter does not have its declared type."""


class ManagedNode(LifecycleNode):
    """A lifecycle node whose transitions may raise, and which owns what they create.

    What :meth:`setup` creates (publishers, subscriptions, services, timers) is destroyed at
    clean-up. What :meth:`start` creates is destroyed after :meth:`stop`. A transition that fails
    destroys what it has created. The newest entity is destroyed first. :meth:`add_cleanup`
    registers any other release.

    The parameter ``autostart`` (bool, default true) makes the node configure and activate at
    start-up. A failure then ends the process with exit code 1.
    """

    #: Whether :meth:`setup` declares parameters whose names are the values of other parameters.
    #: Unknown parameters are then refused after it instead of before it.
    declares_in_setup = False
    #: Set while setup or start runs: releases the entities that it creates.
    _cleanups: ExitStack | None = None

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.declare_parameter("autostart", True)
        self.failure: str | None = None
        self.fatal: str | None = None
        self.is_active = False
        self._finalised = False
        self._configured = ExitStack()
        self._activated = ExitStack()

    def declare_parameters(
        self, namespace: str, parameters: Sequence[Any], ignore_override: bool = False
    ) -> list[Parameter]:
        """As in rclpy, but raises :class:`ParameterTypeError` for a value of another type."""
        declared: list[Parameter] = []
        for parameter in parameters:
            try:
                declared += super().declare_parameters(namespace, [parameter], ignore_override)
            except InvalidParameterTypeException as error:
                name = f"{namespace}.{parameter[0]}" if namespace else parameter[0]
                raise ParameterTypeError(
                    _wrong_type(self._parameter_overrides[name], parameter[1])
                ) from error
        return declared

    def fail(self, reason: str) -> None:
        """End the process with exit code 1; may be called from any thread."""
        self.get_logger().fatal(reason)
        self.fatal = reason
        signal.raise_signal(signal.SIGTERM)

    def shut_down(self) -> None:
        """Take the shutdown transition, if it has not been taken yet."""
        if not self._finalised:
            self.trigger_shutdown()

    def setup(self) -> None:
        """Read parameters and create entities. Raises on a bad parameter."""

    def start(self) -> None:
        """Begin publishing."""

    def stop(self) -> None:
        """Reach the safe stop and publish nothing afterwards."""

    def add_cleanup(self, cleanup: Callable[..., Any], *arguments: Any) -> None:
        """From setup: call this at clean-up. From start: call this after :meth:`stop`."""
        if self._cleanups is None:
            raise RuntimeError("add_cleanup is for setup and start")
        self._cleanups.callback(cleanup, *arguments)

    def create_publisher(self, *arguments: Any, **options: Any) -> Any:
        return self._owned(super().create_publisher(*arguments, **options), "publisher")

    def create_subscription(self, *arguments: Any, **options: Any) -> Any:
        return self._owned(super().create_subscription(*arguments, **options), "subscription")

    def create_service(self, *arguments: Any, **options: Any) -> Any:
        return self._owned(super().create_service(*arguments, **options), "service")

    def create_timer(self, *arguments: Any, **options: Any) -> Any:
        return self._owned(super().create_timer(*arguments, **options), "timer")

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guard("configure", lambda: self._enter(self._configured, self._checked_setup))

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._guard("activate", lambda: self._enter(self._activated, self.start))
        if result is _SUCCESS:
            self.is_active = True
            return super().on_activate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._guard("deactivate", self._stop)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guard("clean up", self._configured.close)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._finalised = True
        if state.label == "active":
            self._guard("stop", self._stop)
        return self._guard("shut down", self._configured.close)

    def _owned(self, entity: Any, kind: str) -> Any:
        """Register an entity for destruction, if setup or start creates it; returns the entity."""
        if self._cleanups is not None:
            self._cleanups.callback(getattr(self, f"destroy_{kind}"), entity)
        return entity

    def _enter(self, cleanups: ExitStack, step: Callable[[], None]) -> None:
        """Run setup or start, and clean up if it raises."""
        self._cleanups = cleanups
        try:
            step()
        except Exception:
            self._guard("clean up after the failure", cleanups.close, keep=True)
            raise
        finally:
            self._cleanups = None

    def _stop(self) -> None:
        """Stop, and release the entities of start even if stopping fails."""
        self.is_active = False
        with self._activated:
            self.stop()

    def _checked_setup(self) -> None:
        """Set up, and refuse an undeclared parameter, whose name is most likely mistyped."""
        if self.declares_in_setup:
            self.setup()
            self._refuse_unknown_parameters()
        else:
            self._refuse_unknown_parameters()
            self.setup()

    def _refuse_unknown_parameters(self) -> None:
        unknown = [
            name
            for name in self._parameter_overrides
            if not self.has_parameter(name) and not name.startswith("qos_overrides.")
        ]
        if unknown:
            known = ", ".join(sorted(self._parameters))
            raise ValueError(
                f"no parameter is called {', '.join(unknown)}; {self.get_name()} has {known}"
            )

    def _guard(
        self, what: str, step: Callable[[], None], *, keep: bool = False
    ) -> TransitionCallbackReturn:
        try:
            step()
        except Exception as error:  # rclpy would swallow it: log it, then refuse
            self.get_logger().error(f"cannot {what}: {error}")
            if not keep:
                self.failure = str(error)
            return _FAILURE
        if not keep:
            self.failure = None
        return _SUCCESS


def _wrong_type(given: Parameter, default: Any) -> str:
    """The message about a parameter of a wrong type; ``default``: declared value or type."""
    of_type = default if isinstance(default, Parameter.Type) else _type(default)
    wanted = of_type.name.lower().replace("_", " ")
    fix = f"; write {given.value}.0" if (of_type, given.type_) == _DOUBLE_AS_INTEGER else ""
    kind = given.type_.name.lower().replace("_", " ")
    return f"parameter {given.name} is {given.value!r} ({kind}) but must be of type {wanted}{fix}"


def run(factory: Callable[[], ManagedNode], args: Sequence[str] | None = None) -> int:
    """Run one node until SIGINT or SIGTERM, then shut it down in order.

    rclpy's own handlers shut the context down at once, before a last command could be sent.
    Therefore a thread waits for the signals and ends the spin, and the lifecycle shutdown runs
    while the context is still valid.

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
