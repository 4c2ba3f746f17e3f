"""Prompt text to SentencePiece tokens, as openpi makes them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from pi0_ros.policy.types import PolicyError

_PAD = 0
_logger = logging.getLogger(__name__)

#: int64 tokens (L,) and which of them count, bool (L,).
Tokens = tuple[NDArray[np.int64], NDArray[np.bool_]]


class Tokenizer(Protocol):
    """Text to the tokens of one network."""

    def encode_task(self, text: str) -> Tokens:
        """A prompt that is the task and nothing else."""

    def encode_whole(self, text: str) -> Tokens:
        """A prompt that says where it ends by itself."""


class PromptRow:
    """Tokens padded or cut to ``length`` (L)."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._cut: str | None = None

    def fit(self, pieces: Sequence[int], text: str, end: Sequence[int] = ()) -> Tokens:
        """``pieces`` as far as there is room, and ``end``. Warns once of a text that is cut."""
        room = self._length - len(end)
        if len(pieces) > room:
            self._warn_once(text, len(pieces) + len(end))
        row = [*pieces[:room], *end]
        tokens = np.full(self._length, _PAD, dtype=np.int64)
        tokens[: len(row)] = row
        mask: NDArray[np.bool_] = np.arange(self._length) < len(row)
        return tokens, mask

    def _warn_once(self, text: str, count: int) -> None:
        # The start tells prompts apart; a state at the end changes every time.
        start = text[:40]
        if start != self._cut:
            self._cut = start
            _logger.warning(
                "prompt %r… has %d tokens, cut to %d: use a shorter instruction",
                start,
                count,
                self._length,
            )


class PromptTokenizer:
    """A SentencePiece model and the prompt length ``max_tokens`` (L) of a network.

    Raises :class:`PolicyError` for a file that is no tokenizer or knows more pieces
    than the network's ``vocab``.
    """

    def __init__(self, path: Path, *, max_tokens: int, vocab: int) -> None:
        self._row = PromptRow(max_tokens)
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
        """π0: BOS, the text, and a line break tokenised on its own (it starts the answer)."""
        pieces = [*self._pieces.encode(text, add_bos=True), *self._pieces.encode("\n")]
        return self._row.fit(pieces, text)

    def encode_whole(self, text: str) -> Tokens:
        """π0.5: BOS and the whole text in one piece."""
        return self._row.fit(self._pieces.encode(text, add_bos=True), text)
