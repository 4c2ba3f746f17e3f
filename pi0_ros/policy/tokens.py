"""Prompt text to SentencePiece tokens, as openpi makes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from pi0_ros.policy.errors import PolicyError

_PAD = 0

#: int64 tokens (L,) and which of them count, bool (L,).
Tokens = tuple[NDArray[np.int64], NDArray[np.bool_]]


class Tokenizer(Protocol):
    """Converts text to the tokens of one network."""

    def encode_task(self, text: str) -> Tokens:
        """Tokens of a prompt that holds only the task."""

    def encode_whole(self, text: str) -> Tokens:
        """Tokens of a prompt that contains its own end mark."""


def prompt_row(pieces: Sequence[int], length: int, text: str) -> Tokens:
    """Pieces padded to ``length`` (L).

    Raises :class:`PolicyError` if there are more. They are not cut off, because a cut instruction
    may mean something else, and π0.5 would lose the state.
    """
    if len(pieces) > length:
        raise PolicyError(
            f"prompt {text[:40]!r}… has {len(pieces)} tokens and the model takes {length}: use a "
            "shorter instruction"
        )
    tokens = np.full(length, _PAD, dtype=np.int64)
    tokens[: len(pieces)] = pieces
    mask: NDArray[np.bool_] = np.arange(length) < len(pieces)
    return tokens, mask


class PromptTokenizer:
    """A SentencePiece model and the prompt length ``max_tokens`` (L) of a network.

    Raises :class:`PolicyError` for a file that is no tokenizer, and for one with more pieces than
    the network's ``vocab``.
    """

    def __init__(self, path: Path, *, max_tokens: int, vocab: int) -> None:
        self._length = max_tokens
        self._pieces = sentencepiece.SentencePieceProcessor()
        try:
            self._pieces.LoadFromSerializedProto(path.read_bytes())
        except (OSError, RuntimeError) as error:
            raise PolicyError(
                f"{path}: not a SentencePiece model ({error}); copy the tokenizer again"
            ) from error
        if self._pieces.vocab_size() > vocab:
            raise PolicyError(
                f"{path}: {self._pieces.vocab_size()} pieces, the model knows {vocab}; use the"
                " tokenizer the checkpoint was trained with"
            )

    def encode_task(self, text: str) -> Tokens:
        """π0: BOS, the text, and a separately tokenised line break, which starts the answer."""
        pieces = [*self._pieces.encode(text, add_bos=True), *self._pieces.encode("\n")]
        return prompt_row(pieces, self._length, text)

    def encode_whole(self, text: str) -> Tokens:
        """π0.5: BOS and the whole text in one piece."""
        return prompt_row(self._pieces.encode(text, add_bos=True), self._length, text)
