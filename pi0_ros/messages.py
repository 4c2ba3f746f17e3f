"""Message classes by the name that embodiment files use."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def message_class(message_type: str) -> Any:
    """The rclpy class of ``package/msg/Name``. Raises ValueError if it is not installed."""
    package, _, name = message_type.split("/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"message {message_type} is not installed: {error}; install the package {package!r}"
        ) from error
