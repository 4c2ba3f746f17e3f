"""The ``ros`` fixture: a private graph, closed whatever the test did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import Graph
from installed import install

__all__ = ["install", "ros"]


@pytest.fixture
def ros() -> Iterator[Graph]:
    graph = Graph()
    yield graph
    graph.close()
