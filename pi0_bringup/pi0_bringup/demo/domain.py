"""A ROS domain of one's own, so that a demonstration never meets a real robot."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pi0_ros.graph.options import GraphError

# Domains whose ports lie below the ephemeral range, without 0, which everyone has.
_DOMAINS = range(10, 102)


@contextmanager
def private_domain() -> Iterator[dict[str, str]]:
    """The environment of a domain that no other caller on this machine is given.

    It is claimed by an abstract socket of its name, the one that the tests use too;
    the kernel gives it back however the process ends. Discovery stays on this machine.

    Raises :class:`~pi0_ros.graph.options.GraphError` if every domain is taken.
    """
    for domain in _DOMAINS:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0pi0_ros_test_domain_{domain}")
        except OSError:
            claim.close()
            continue
        with claim:
            yield {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        return
    raise GraphError(f"no free ROS domain in {_DOMAINS}: end other demonstrations first")
