"""Find, read and check embodiment files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pi0_ros.embodiment.build import build
from pi0_ros.embodiment.checks import cross_check
from pi0_ros.embodiment.errors import EmbodimentError, KeyPath, Problem, format_path
from pi0_ros.embodiment.partial_file import PartialFile
from pi0_ros.embodiment.schema import EmbodimentFile
from pi0_ros.embodiment.schema_errors import structural_problems
from pi0_ros.embodiment.types import Embodiment
from pi0_ros.extensions import did_you_mean

#: Every checkout and installation ships this file, which marks the folder of the embodiments.
_LANDMARK = "ur5e.yaml"


def available() -> tuple[str, ...]:
    """Names of the shipped embodiments, sorted."""
    return tuple(sorted(path.stem for path in _shipped_folder().glob("*.yaml")))


def load(name_or_path: str | Path) -> Embodiment:
    """Read one embodiment: a shipped one by name, any other by its path.

    A text that ends in ``.yaml`` or ``.yml`` or contains a ``/`` is a path.

    Raises :class:`EmbodimentError` with file, key, value and fix, one line for each error of the
    file.
    """
    path = _resolve(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise EmbodimentError([f"{path}: cannot be read: {reason}"]) from error
    raw, lines, problems = _parse(path, text)
    return _checked(path, raw, lines, problems)


def _checked(
    path: Path, raw: object, lines: dict[KeyPath, int], problems: list[Problem]
) -> Embodiment:
    model: EmbodimentFile | None = None
    if isinstance(raw, dict):
        try:
            model = EmbodimentFile.model_validate(raw)
        except ValidationError as error:
            problems += structural_problems(error)
        problems += cross_check(PartialFile.of(raw))
    else:
        problems.append(Problem((), "holds no mapping of keys; see docs/reference/embodiments.md"))
    if problems or model is None:
        raise EmbodimentError(_lines(path, problems, lines))
    return build(model, path)


def _lines(path: Path, problems: list[Problem], lines: dict[KeyPath, int]) -> list[str]:
    """One line per problem, in the order of the file, each with its line number."""
    placed = []
    for problem in problems:
        known = problem.path
        while known not in lines and known:
            known = known[:-1]
        line = lines.get(known, 1)
        placed.append((line, f"{path}:{line}: {format_path(problem.path)}: {problem.text}"))
    return [text for _, text in sorted(placed, key=lambda item: item[0])]


def _resolve(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        return Path(text).expanduser()
    known = available()
    if text in known:
        return _shipped_folder() / f"{text}.yaml"
    hint = did_you_mean(text, known) or "."
    raise EmbodimentError(
        [
            f"unknown embodiment {text!r}{hint} Known: {', '.join(known)}. "
            "For a file of your own give its path, with .yaml at the end."
        ]
    )


def _shipped_folder() -> Path:
    """Folder of the shipped files: of the source checkout, else of the installation."""
    for parent in Path(__file__).resolve().parents:
        for folder in (parent / "embodiments", parent / "share" / "pi0_ros" / "embodiments"):
            if (folder / _LANDMARK).is_file():
                return folder
    raise EmbodimentError(
        [f"no embodiments folder in any parent of {__file__}; reinstall the package pi0_ros"]
    )


def _parse(path: Path, text: str) -> tuple[Any, dict[KeyPath, int], list[Problem]]:
    """Read YAML; return the data, the line of every key path, and repeated keys."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        problems: list[Problem] = []
        if node is not None:
            for key_path, line, repeated in _walk(node, ()):
                lines.setdefault(key_path, line)
                if repeated:
                    problems.append(
                        Problem(key_path, f"stated twice (again on line {line}); remove one")
                    )
        data = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise EmbodimentError([_yaml_error(path, error)]) from error
    finally:
        loader.dispose()
    return data, lines, problems


def _yaml_error(path: Path, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
    return f"{where}: not YAML: {getattr(error, 'problem', None) or error}; correct the syntax"


def _walk(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int, bool]]:
    """Yield key path, line and whether the key repeats, depth first."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            yield (*path, name), key.start_mark.line + 1, name in seen
            seen.add(name)
            yield from _walk(value, (*path, name))
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield (*path, i), value.start_mark.line + 1, False
            yield from _walk(value, (*path, i))
