"""The parameters that name a remote policy server, and the connection to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rclpy.node import Node

from pi0_ros.embodiment import Embodiment
from pi0_ros.policy.errors import PolicyError

if TYPE_CHECKING:
    from pi0_ros.policy.backends.remote import RemotePolicy

#: Not a parameter, because every node of the graph could read it.
_KEY_VARIABLE = "PI0_API_KEY"


class RemoteSource:
    """Parameters: ``remote`` (ws://HOST:PORT, "": infer here), ``remote_layout`` ("images", "droid"
    or "ur5": how the observation is laid out) and ``remote_timeout_s`` (10.0).
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._policy: RemotePolicy | None = None
        defaults = {"remote": "", "remote_layout": "images", "remote_timeout_s": 10.0}
        for name, default in defaults.items():
            node.declare_parameter(name, default)

    def policy(self, embodiment: Embodiment, checkpoint: str) -> RemotePolicy | None:
        """The policy of the server in ``remote``; None if it is empty. Raises PolicyError."""
        url = self._node.get_parameter("remote").value
        if not url:
            return None
        if checkpoint or self._policy is not None:
            raise PolicyError(
                f"remote is {url!r}: the checkpoint is the server's to choose; give no checkpoint"
                f" here (it is {checkpoint!r}), or no remote"
            )
        # Imported here, because a local policy needs no websockets.
        from pi0_ros.policy.backends.remote import RemotePolicy, RemotePolicyOptions

        options = RemotePolicyOptions(
            url=url,
            layout=self._node.get_parameter("remote_layout").value,
            timeout_s=self._node.get_parameter("remote_timeout_s").value,
            api_key=os.environ.get(_KEY_VARIABLE, ""),
        )
        self._policy = RemotePolicy(embodiment, options)
        return self._policy

    def values(self) -> dict[str, str]:
        """The server's metadata, for the diagnostics."""
        if self._policy is None:
            return {}
        return {f"server.{key}": str(value) for key, value in self._policy.metadata.items()}

    def close(self) -> None:
        """Close the connection, which also ends an inference that waits for the server."""
        if self._policy is not None:
            self._policy.close()
            self._policy = None
