"""The operator's verbs: ask a running executor to start, stop, reset or go home."""

from __future__ import annotations

import sys

from std_srvs.srv import Trigger

from pi0_ros.clients.service_call import NoAnswerError, call_service


def operate(verb: str, *, node: str, namespace: str, timeout_s: float) -> int:
    """Return 0 if the executor did it, 1 if it refused, 2 if it did not answer."""
    try:
        response = call_service(
            Trigger,
            Trigger.Request(),
            namespace=namespace,
            node=node,
            verb=verb,
            timeout_s=timeout_s,
        )
    except NoAnswerError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if response.success:
        sys.stdout.write(f"{response.message}\n")
        return 0
    sys.stderr.write(f"refused: {response.message}\n")
    return 1
