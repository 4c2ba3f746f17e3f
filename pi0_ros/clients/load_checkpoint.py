"""Ask a running policy to load a checkpoint."""

from __future__ import annotations

import sys

from pi0_msgs.srv import LoadCheckpoint
from pi0_ros.clients.service_call import NoAnswerError, call_service


def load_checkpoint(path: str, *, node: str, namespace: str, timeout_s: float) -> int:
    """Return 0 if the checkpoint serves now, 1 if it was refused, 2 without an answer.

    ``path`` is a folder on the machine of the policy node.
    """
    try:
        response = call_service(
            LoadCheckpoint,
            LoadCheckpoint.Request(path=path),
            namespace=namespace,
            node=node,
            verb="load_checkpoint",
            timeout_s=timeout_s,
        )
    except NoAnswerError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if response.success:
        sys.stdout.write(f"{response.message}\n")
        return 0
    sys.stderr.write(f"refused: {response.message}\n")
    if len(response.problems) > 1:
        sys.stderr.writelines(f"  - {problem}\n" for problem in response.problems)
    return 1
