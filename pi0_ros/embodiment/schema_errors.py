"""Rewrites the errors of the schema library as plain sentences with a fix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pi0_ros.embodiment import schema
from pi0_ros.embodiment.errors import KeyPath, Problem
from pi0_ros.embodiment.types import CHECKPOINT_WIDTH, PAPER_WIDTH
from pi0_ros.extensions import did_you_mean

_EXPECTED = {
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
    "list_type": "a list",
    "tuple_type": "a list of two numbers, [18-wide slot, 32-wide slot]",
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
}

#: Model that describes the value at a path; ``*`` stands for any one key.
_MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): schema.EmbodimentFile,
    ("rates",): schema.RatesRow,
    ("sync",): schema.SyncRow,
    ("cameras", "*"): schema.CameraRow,
    ("controllers", "*"): schema.ControllerRow,
    ("state", "*"): schema.StateGroup,
    ("state", "*", "dimensions", "*"): schema.StateRow,
    ("action", "*"): schema.ActionGroup,
    ("action", "*", "limits"): schema.LimitsPart,
    ("action", "*", "dimensions", "*"): schema.ActionRow,
    ("action", "*", "dimensions", "*", "limits"): schema.LimitsPart,
}


def structural_problems(error: ValidationError) -> list[Problem]:
    """Rewrite each finding of a pydantic error, in the order of the file."""
    return [_problem(details) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails) -> Problem:
    path: KeyPath = details["loc"]
    kind, value = details["type"], details["input"]
    if kind == "invalid_key":
        return Problem(path, f"key {value!r} is not text; {_NAME_FIX}")
    if path and path[-1] == "[key]":
        return Problem((*path[:-2], str(value)), f"{value!r} is not a name; {_NAME_FIX}")
    if kind == "missing":
        return Problem(path, _missing(path))
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1])
        return Problem(
            path, f"unknown key{did_you_mean(str(path[-1]), known)} (known: {', '.join(known)})"
        )
    if kind in _EXPECTED:
        return Problem(path, f"{_show(value)} is not {_EXPECTED[kind]}{_number_hint(kind, value)}")
    if kind in _TEXTS:
        return Problem(path, _TEXTS[kind](path, value, details.get("ctx", {})))
    return Problem(path, f"{_show(value)}: {details['msg']}")


_NAME_FIX = "use lower-case letters, digits and underscores, starting with a letter"


def _missing(path: KeyPath) -> str:
    if "slots" in path:
        return "missing; slots holds two numbers, [18-wide slot, 32-wide slot]"
    return "missing; add it"


def _range(path: KeyPath, value: Any, ctx: Mapping[str, Any]) -> str:
    if "slots" in path:
        width = (PAPER_WIDTH, CHECKPOINT_WIDTH)[int(path[-1])]
        return f"{value} is not a slot of the {width}-wide vector; use 0..{width - 1}"
    if "gt" in ctx:
        return f"{value} is not positive; use a number above {ctx['gt']:g}"
    return f"{value} is too small; use {ctx.get('ge', 1)} or more"


def _choice(path: KeyPath, value: Any, ctx: Mapping[str, Any]) -> str:
    expected = str(ctx["expected"]).replace("'", "").replace(" or ", ", ")
    hint = did_you_mean(str(value), expected.split(", "))
    return f"{_show(value)} is not known here; use one of {expected}{hint}"


def _pattern(path: KeyPath, value: Any, ctx: Mapping[str, Any]) -> str:
    if ctx.get("pattern") == schema.TOPIC_PATTERN:
        return (
            f"{value!r} is not a relative topic name; drop a leading '/', and use letters, "
            "digits and underscores between single '/'"
        )
    return f"{value!r} is not a name; {_NAME_FIX}"


def _length(path: KeyPath, value: Any, ctx: Mapping[str, Any]) -> str:
    if "slots" in path:
        return f"{_show(value)} has the wrong length; write [18-wide slot, 32-wide slot]"
    return "is empty; state at least one"


_TEXTS: dict[str, Callable[[KeyPath, Any, Mapping[str, Any]], str]] = {
    "greater_than": _range,
    "greater_than_equal": _range,
    "less_than": _range,
    "literal_error": _choice,
    "string_pattern_mismatch": _pattern,
    "too_short": _length,
    "too_long": _length,
    "string_too_short": _length,
    "finite_number": lambda p, v, c: f"{v} is not finite; use an ordinary number",
    "value_error": lambda p, v, c: f"{_show(v)} {c['error']}",
}


def _known_keys(path: KeyPath) -> list[str]:
    for pattern, model in _MODELS.items():
        if len(pattern) == len(path) and all(
            p in ("*", key) for p, key in zip(pattern, path, strict=True)
        ):
            return list(model.model_fields)
    return []


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _number_hint(kind: str, value: object) -> str:
    """What to write instead of a number that YAML reads as text, such as ``1e2``."""
    if kind not in ("float_type", "int_type") or not isinstance(value, str):
        return ""
    try:
        text = repr(float(value))
    except ValueError:
        return ""
    if "." not in text:
        text = text.replace("e", ".0e")
    return f"; it is text, write {text} without quotes"
