"""The operator services and the action of the recorder.

Ending an episode can take long on a slow disk, and the EventsExecutor runs one callback at a time.
A second node in this process therefore answers requests from its own threads, so that the status
is published meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from pi0_msgs.action import RecordEpisode
from pi0_msgs.srv import SetInstruction, StartEpisode, StopEpisode
from pi0_ros.recording.episode import Outcome
from pi0_ros.recording.episode_recording import EpisodeRecording, FinishedEpisode
from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.session import Session

# An action occupies a thread until its episode ends; the others answer services.
_THREADS = 4
_JOIN_S = 10.0
_FEEDBACK_S = 0.5

_OUTCOMES = {
    StopEpisode.Request.UNMARKED: Outcome.UNMARKED,
    StopEpisode.Request.SUCCEEDED: Outcome.SUCCEEDED,
    StopEpisode.Request.FAILED: Outcome.FAILED,
}


class RecorderServices:
    """Offers the methods of a session as services. ``changed`` is called after each request;
    ``fill(feedback)`` writes rates and losses into the feedback of the action."""

    def __init__(
        self,
        node: Node,
        session: Session,
        changed: Callable[[], None],
        fill: Callable[[RecordEpisode.Feedback], None],
    ) -> None:
        self._logger = node.get_logger()
        self._session = session
        self._changed = changed
        self._fill = fill
        self._closing = threading.Event()
        # The underscore hides it. It ignores remappings, which are meant for the recorder.
        self._side = Node(
            f"_{node.get_name()}_services",
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        group = ReentrantCallbackGroup()
        for kind, name, answer in (
            (StartEpisode, "start_episode", self._start),
            (StopEpisode, "stop_episode", self._stop),
            (Trigger, "discard_episode", self._discard),
            (Trigger, "rerecord_episode", self._rerecord),
            (SetInstruction, "set_instruction", self._instruct),
        ):
            service = node.resolve_service_name(f"~/{name}")
            self._side.create_service(kind, service, self._guarded(answer), callback_group=group)
        self._action = ActionServer(
            self._side,
            RecordEpisode,
            node.resolve_service_name("~/record_episode"),
            self._record,
            callback_group=group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        self._executor = MultiThreadedExecutor(_THREADS, context=node.context)
        self._executor.add_node(self._side)
        self._thread = threading.Thread(
            target=self._executor.spin, name="operator-services", daemon=True
        )
        self._thread.start()

    def destroy(self) -> None:
        """Remove the services; a running action ends with its episode."""
        self._closing.set()
        self._executor.shutdown(timeout_sec=_JOIN_S)
        self._thread.join(_JOIN_S)
        self._action.destroy()
        self._side.destroy_node()

    def _guarded(self, answer: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
        def on_request(request: Any, response: Any) -> Any:
            try:
                answer(request, response)
                response.success = True
                self._logger.info(response.message)
            except (RecordingError, OSError) as error:
                response.success = False
                response.message = str(error)
                self._logger.warning(response.message)
            except Exception as error:  # an uncaught error would end the executor's thread
                response.success = False
                response.message = f"the recorder failed: {error!r}"
                self._logger.error(response.message)
            self._changed()
            return response

        return on_request

    def _start(self, request: Any, response: Any) -> None:
        recording = self._session.start(request.task, request.notes)
        response.path = str(recording.path)
        response.message = f"recording {recording.path.name}: {request.task}"

    def _stop(self, request: Any, response: Any) -> None:
        if request.outcome not in _OUTCOMES:
            raise RecordingError(
                f"outcome is {request.outcome}; give 0 (unmarked), 1 (succeeded) or 2 (failed)"
            )
        ended = self._session.stop(_OUTCOMES[request.outcome], request.notes)
        response.path = str(ended.path)
        response.accepted = ended.info.accepted
        response.problems = list(ended.info.problems)
        response.message = describe(ended)
        if not ended.info.complete:
            raise RecordingError(response.message)

    def _discard(self, request: Any, response: Any) -> None:
        task = self._session.discard()
        response.message = f"discarded the episode of {task!r}"

    def _rerecord(self, request: Any, response: Any) -> None:
        recording = self._session.rerecord()
        response.message = f"discarded; recording {recording.path.name}: {recording.info.task}"

    def _instruct(self, request: Any, response: Any) -> None:
        self._session.set_instruction(request.instruction)
        response.message = f"instruction from now on: {request.instruction}"

    def _record(self, goal: Any) -> Any:
        """Record one episode for a client of the action."""
        wanted = goal.request
        result = RecordEpisode.Result()
        try:
            recording = self._session.start(wanted.task, wanted.notes)
        except RecordingError as error:
            result.termination, result.message = result.REFUSED, str(error)
            goal.abort()
            return result
        self._changed()
        self._follow(goal, recording, wanted.max_duration_s)
        if self._session.recording is recording:
            try:
                self._session.stop()
            except RecordingError:
                self._logger.info("the episode of an action was ended by another request")
        self._changed()
        self._fill_result(result, recording)
        if goal.is_cancel_requested:
            goal.canceled()
        elif result.termination in (result.KEPT, result.DOUBTFUL):
            goal.succeed()
        else:
            goal.abort()
        return result

    def _follow(self, goal: Any, recording: EpisodeRecording, max_duration_s: float) -> None:
        """Publish feedback until the episode ends, reaches its duration, or is cancelled."""
        while self._session.recording is recording and not goal.is_cancel_requested:
            left_s = max_duration_s - self._session.elapsed_s
            if max_duration_s > 0 and left_s <= 0:
                return
            feedback = RecordEpisode.Feedback()
            self._fill(feedback)
            goal.publish_feedback(feedback)
            pause_s = min(_FEEDBACK_S, left_s) if max_duration_s > 0 else _FEEDBACK_S
            if self._closing.wait(max(0.01, pause_s)):
                return

    def _fill_result(self, result: Any, recording: EpisodeRecording) -> None:
        ended_recording, ended = self._session.last or (None, None)
        if ended_recording is not recording or ended is None:
            result.termination, result.message = result.DISCARDED, "discarded"
            return
        result.path = str(ended.path)
        result.duration_s = ended.info.duration_s
        result.problems = list(ended.info.problems)
        result.message = describe(ended)
        if not ended.info.complete:
            result.termination = result.INCOMPLETE
        else:
            result.termination = result.KEPT if ended.info.accepted else result.DOUBTFUL


def describe(ended: FinishedEpisode) -> str:
    """One sentence on how an episode ended."""
    info = ended.info
    if not ended.finished:
        return f"{ended.path} could not be finished: {info.reason}; free space, `pi0 bag repair` it"
    text = f"{ended.path.name}: {info.duration_s:.1f} s"
    if not info.complete:
        return f"{text}, incomplete: {info.reason}"
    if not info.accepted:
        return f"{text}, doubtful: {info.problems[0]}"
    return f"{text}, {info.outcome.value}"
