"""Records which steps are done, and for which inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

#: Files that Python writes next to the sources.
_BY_PRODUCTS = ("__pycache__", ".egg-info")


def digest(*parts: str) -> str:
    """A short hash of the parts, in order."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def digest_files(root: Path, paths: Iterable[Path]) -> str:
    """Hash of the names and contents of files and of all files below folders."""
    entries: list[str] = []
    for path in sorted(paths):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if not file.is_dir() and not _is_by_product(file):
                content = file.read_bytes() if file.exists() else b"absent"
                entries += [str(file.relative_to(root)), hashlib.sha256(content).hexdigest()]
    return digest(*entries)


def _is_by_product(file: Path) -> bool:
    return any(part.endswith(suffix) for part in file.parts for suffix in _BY_PRODUCTS)


class Stamps:
    """Hashes of the finished steps, kept in the environment so that they are deleted with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def holds(self, step: str, key: str) -> bool:
        """Whether the step was last finished for exactly these inputs."""
        return self._read().get(step) == key

    def set(self, step: str, key: str) -> None:
        """Mark the step as finished for these inputs."""
        self._write({**self._read(), step: key})

    def drop(self, step: str) -> None:
        """Mark the step as not finished. Called before it runs, in case it is interrupted."""
        self._write({name: key for name, key in self._read().items() if name != step})

    def _read(self) -> dict[str, str]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, content: dict[str, str]) -> None:
        self._path.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
