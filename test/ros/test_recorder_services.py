"""The recorder's services answer, whatever the session does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from harness import Graph

from pi0_msgs.srv import SetInstruction
from pi0_ros.nodes.recorder.services import RecorderServices
from pi0_ros.recording.session import Session


def test_a_fault_of_the_session_is_an_answer_and_the_next_request_is_served(ros: Graph) -> None:
    said: list[str] = []

    def set_instruction(text: str) -> None:
        if not said:
            said.append(text)
            raise RuntimeError("nobody thought of this")

    session = cast(Session, SimpleNamespace(set_instruction=set_instruction))
    services = RecorderServices(ros.node, session, lambda: None, lambda _: None)

    def ask() -> Any:
        request = SetInstruction.Request(instruction="fold")
        return ros.call(SetInstruction, "test_probe/set_instruction", request)

    try:
        failed, served = ask(), ask()
    finally:
        services.destroy()
    assert not failed.success
    assert "nobody thought of this" in failed.message
    assert served.success
