"""Options of a conversion."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.video.encoder import Codec, codec_named

IMAGES = "images"
ACTIONS = ("auto", "commands", "status", "states")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """Content and encoding of the dataset.

    ``size``: side of the letterboxed images [pixels], as camera_sync makes them; 0 keeps the
    camera's size. ``codec``: a key of :data:`~pi0_ros.dataset.video.encoder.CODECS`,
    or "images" for PNG. ``gop``: frames from one key frame to the next; None for the
    codec's default. ``actions``: "commands" (the recorded commands), "status" (the commands that
    the executor reported, with exact stamps), "states" (the states measured at the next frame) or
    "auto" (status if the bag has it, else commands). ``depth``: (name, topic) of each camera with
    16 bits per pixel. ``doubtful``, ``failed``: also convert episodes that the quality gate, or the
    operator, rejected.
    """

    size: int = 224
    codec: str = "av1"
    gop: int | None = None
    actions: str = "auto"
    depth: tuple[tuple[str, str], ...] = ()
    doubtful: bool = False
    failed: bool = False

    def check(self) -> None:
        """Raise :class:`DatasetError` naming an invalid option."""
        if self.size and not 14 <= self.size <= 1024:
            raise DatasetError(f"size is {self.size}; give pixels from 14 to 1024, or 0 for native")
        if self.actions not in ACTIONS:
            raise DatasetError(f"actions is {self.actions!r}; use one of {', '.join(ACTIONS)}")
        if self.gop is not None and self.gop < 1:
            raise DatasetError(f"gop is {self.gop}; give 1 or more frames")
        names = [name for name, _ in self.depth]
        for name in names:
            if "/" in name or names.count(name) > 1:
                raise DatasetError(f"depth {name!r}: give each camera one name, without a slash")
        if self.codec != IMAGES:
            codec_named(self.codec)

    def video(self) -> Codec | None:
        """The video codec; None for PNG images."""
        return None if self.codec == IMAGES else codec_named(self.codec, self.gop)

    def digest(self) -> str:
        """Hash of the options that change a staged episode."""
        made = {k: v for k, v in asdict(self).items() if k not in ("doubtful", "failed")}
        return hashlib.sha256(repr(sorted(made.items())).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """The options that the manifest stores."""
        return {"size": self.size, "actions": self.actions, "codec": self.codec}
