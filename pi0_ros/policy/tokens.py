"""Prompt text to SentencePiece tokens, as openpi makes them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from pi0_ros.policy.types import PolicyError

_PAD = 0
_logger = logging.getLogger(__name__)

#: int64 tokens (L,) and which of them count, bool (L,).
Tokens = tuple[NDArray[np.int64], NDArray[np.bool_]]


class PromptTokenizer:
    """A SentencePiece model and the prompt length ``max_tokens`` (L) of a network.

    Raises :class:`PolicyError` for a file that is no tokenizer or knows more pieces
    than the network's ``vocab``.
    """

    def __init__(self, path: Path, *, max_tokens: int, vocab: int) -> None:
        self._max_tokens = max_tokens
        self._cut: str | None = None
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
        return self._pad(pieces, text)

    def encode_whole(self, text: str) -> Tokens:
        """π0.5: BOS and the whole text in one piece."""
        return self._pad(self._pieces.encode(text, add_bos=True), text)

    def _pad(self, pieces: list[int], text: str) -> Tokens:
        length = self._max_tokens
        if len(pieces) > length:
            self._warn_once(text, len(pieces))
            pieces = pieces[:length]
        tokens = np.full(length, _PAD, dtype=np.int64)
        tokens[: len(pieces)] = pieces
        mask: NDArray[np.bool_] = np.arange(length) < len(pieces)
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
                self._max_tokens,
            )
