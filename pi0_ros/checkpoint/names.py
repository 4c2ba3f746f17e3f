"""Tensor names of other people's checkpoints, and ours.

openpi and LeRobot use the names of Hugging Face's PaliGemma. Its versions nest the parts
differently, so the patterns accept every known nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pi0_ros.checkpoint.errors import CheckpointError

_Value = TypeVar("_Value")

_PALIGEMMA = r"paligemma_with_expert\.paligemma\.(?:model\.)?"
_LANGUAGE = _PALIGEMMA + r"language_model\.(?:model\.)?"
_VISION = _PALIGEMMA + r"vision_tower\.(?:vision_model\.)?"
_EXPERT = r"paligemma_with_expert\.gemma_expert\."
_PROJECTIONS = r"(?:state_proj|action_in_proj|action_out_proj|(?:action_)?time_mlp_(?:in|out))\."

#: Their prefix and ours; the first match is used.
_RENAMED = tuple(
    (re.compile(theirs), ours)
    for theirs, ours in (
        (_VISION + r"embeddings\.(?=p)", "vision."),
        (_VISION + r"encoder\.(?=layers\.)", "vision."),
        (_VISION + r"(?=post_layernorm\.)", "vision."),
        (_PALIGEMMA + r"multi_modal_projector\.linear\.", "vision.projector."),
        (_LANGUAGE + r"(?=embed_tokens\.)", ""),
        (_LANGUAGE + r"(?=layers\.|norm\.)", "backbone."),
        (_EXPERT + r"(?:model\.)?(?=layers\.|norm\.)", "expert."),
        (f"(?={_PROJECTIONS})", ""),
    )
)
#: The token table under its tied name, as the output head that π0 never uses.
_TIED = re.compile(f"(?:{_PALIGEMMA}|{_LANGUAGE})" + r"lm_head\.weight")
#: Not part of the policy: the expert's unused head and table, buffers that some versions store.
_UNUSED = re.compile(
    f"(?:{_EXPERT})" + r"(?:model\.)?(?:lm_head|embed_tokens)\.weight"
    r"|.*\.(?:position_ids|rotary_emb\.inv_freq)"
)
#: Statistics that old LeRobot releases kept among the weights.
_BUFFERS = re.compile(r"(?:normalize_inputs|normalize_targets|unnormalize_outputs)\.buffer_.*")
#: Names that only files of the old LeRobot layout have.
_LEGACY = re.compile(
    r"paligemma_with_expert\.paligemma\.(?:language_model\.(?:model|lm_head)|vision_tower"
    r"|multi_modal_projector)\."
)
TOKEN_TABLE = "embed_tokens.weight"


def strip_model(key: str) -> str:
    """Without the ``model.`` that LeRobot puts before every name."""
    return key.removeprefix("model.")


def is_foreign(keys: Iterable[str]) -> bool:
    """Whether the names are openpi's or LeRobot's."""
    return any("paligemma_with_expert." in key for key in keys)


def is_legacy(keys: Iterable[str]) -> bool:
    """Whether the names are those of LeRobot up to 0.3."""
    return any(_LEGACY.match(strip_model(key)) or _BUFFERS.fullmatch(key) for key in keys)


def is_normalisation(key: str) -> bool:
    """Whether the tensor holds statistics of the old LeRobot layout."""
    return _BUFFERS.fullmatch(strip_model(key)) is not None


def rename(tensors: Mapping[str, _Value]) -> dict[str, _Value]:
    """openpi's or LeRobot's tensors under our names; unused ones and statistics are left out.

    The token table comes from its own name if the file has it, else from its tied name,
    because fine-tuning trains it under its own. Unknown names are kept. Raises
    :class:`CheckpointError` if two tensors have one name of ours.
    """
    ours: dict[str, _Value] = {}
    origin: dict[str, str] = {}
    tied: _Value | None = None
    for key, value in tensors.items():
        theirs = strip_model(key)
        if _TIED.fullmatch(theirs):
            tied = value
        elif not (_UNUSED.fullmatch(theirs) or _BUFFERS.fullmatch(theirs)):
            name = _renamed(theirs)
            if name in ours:
                raise CheckpointError(
                    f"tensors {origin[name]} and {key} are both {name}: remove one of them"
                )
            ours[name], origin[name] = value, key
    if tied is not None:
        ours.setdefault(TOKEN_TABLE, tied)
    return _of_one_generation(ours)


def is_pi05(names: Iterable[str]) -> bool:
    """Whether tensors under our names are a π0.5: its expert's norms depend on time."""
    return any(re.fullmatch(r"expert\..*norm\.dense\.weight", name) for name in names)


def _of_one_generation(ours: dict[str, _Value]) -> dict[str, _Value]:
    """Corrects names: LeRobot has saved either generation's time MLP under the other's."""
    pi05 = is_pi05(ours)
    wrong, right = ("action_time_mlp_", "time_mlp_") if pi05 else ("time_mlp_", "action_time_mlp_")
    renamed: dict[str, _Value] = {}
    for name, value in ours.items():
        target = right + name.removeprefix(wrong) if name.startswith(wrong) else name
        if pi05 and name.startswith("state_proj."):
            continue
        if target != name and target in ours:
            target = name  # both exist: an extra tensor, not a wrong name
        renamed[target] = value
    return renamed


def _renamed(key: str) -> str:
    for theirs, ours in _RENAMED:
        match = theirs.match(key)
        if match:
            return ours + key[match.end() :]
    return key
