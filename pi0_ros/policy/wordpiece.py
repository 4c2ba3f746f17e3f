"""Prompt text to WordPiece tokens, as uncased BERT and DistilBERT make them."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer as Pipeline
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.tokens import Tokens, prompt_row

_PAD, _UNKNOWN, _BEGIN, _END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"


class WordPieceTokenizer:
    """A vocabulary, one piece a line, and the prompt length ``max_tokens`` (L) of a network.

    Raises :class:`PolicyError` for a file that is no such vocabulary, and for one with more pieces
    than the network's ``vocab``.
    """

    def __init__(self, path: Path, *, max_tokens: int, vocab: int) -> None:
        self._length = max_tokens
        try:
            pieces = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except (OSError, ValueError) as error:
            raise PolicyError(
                f"{path}: not a WordPiece vocabulary ({error}); copy the tokenizer again"
            ) from error
        ids = {piece: number for number, piece in enumerate(pieces)}
        absent = [p for p in (_PAD, _UNKNOWN, _BEGIN, _END) if p not in ids]
        if absent or ids[_PAD] != 0:
            raise PolicyError(
                f"{path}: not a WordPiece vocabulary ({', '.join(absent) or _PAD} is missing or"
                " not where it belongs); [PAD] comes first, use the vocab.txt of the text encoder"
            )
        if len(pieces) > vocab:
            raise PolicyError(
                f"{path}: {len(pieces)} pieces, the model knows {vocab}; use the"
                " tokenizer the checkpoint was trained with"
            )
        self._begin, self._end = ids[_BEGIN], ids[_END]
        # The special tokens are not registered as such, so "[SEP]" in a prompt is plain text.
        self._pipeline = Pipeline(WordPiece(ids, unk_token=_UNKNOWN, max_input_chars_per_word=100))
        self._pipeline.normalizer = BertNormalizer()
        self._pipeline.pre_tokenizer = BertPreTokenizer()

    def encode_task(self, text: str) -> Tokens:
        """[CLS], the text, [SEP]."""
        pieces = self._pipeline.encode(text, add_special_tokens=False).ids
        return prompt_row([self._begin, *pieces, self._end], self._length, text)

    def encode_whole(self, text: str) -> Tokens:
        """The same: BERT has no other form."""
        return self.encode_task(text)
