"""Prompt text to WordPiece tokens, as uncased BERT and DistilBERT make them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.tokens import Tokens, prompt_row

_PAD, _UNKNOWN, _BEGIN, _END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
# BERT gives up on longer words.
_LONGEST_WORD = 100


class WordPieceTokenizer:
    """A vocabulary, one piece a line, and the prompt length ``max_tokens`` (L) of a network.

    Raises :class:`PolicyError` for a file that is no such vocabulary or has more pieces
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
        self._ids = {piece: number for number, piece in enumerate(pieces)}
        absent = [p for p in (_PAD, _UNKNOWN, _BEGIN, _END) if p not in self._ids]
        if absent or self._ids[_PAD] != 0:
            raise PolicyError(
                f"{path}: not a WordPiece vocabulary ({', '.join(absent) or _PAD} is missing or"
                " not where it belongs); [PAD] comes first, use the vocab.txt of the text encoder"
            )
        if len(pieces) > vocab:
            raise PolicyError(
                f"{path}: {len(pieces)} pieces, the model knows {vocab}; use the"
                " tokenizer the checkpoint was trained with"
            )

    def encode_task(self, text: str) -> Tokens:
        """[CLS], the text, [SEP]."""
        pieces = [_BEGIN, *(piece for word in words(text) for piece in self._split(word))]
        return prompt_row([self._ids[p] for p in (*pieces, _END)], self._length, text)

    def encode_whole(self, text: str) -> Tokens:
        """The same: BERT has no other form."""
        return self.encode_task(text)

    def _split(self, word: str) -> list[str]:
        """The longest known piece, again and again; a word that leaves a rest is unknown."""
        pieces: list[str] = []
        start = 0
        while start < len(word) <= _LONGEST_WORD:
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if mark + word[start:e] in self._ids), None)
            if end is None:
                return [_UNKNOWN]
            pieces.append(mark + word[start:end])
            start = end
        return pieces or [_UNKNOWN]


def words(text: str) -> list[str]:
    """Words in lower case and without accents; each punctuation mark and Chinese character alone.

    Source: ``BasicTokenizer`` of BERT.
    """
    spaced = ""
    for character in unicodedata.normalize("NFD", text.lower()):
        category = unicodedata.category(character)
        if character in "\t\n\r" or category == "Zs":
            spaced += " "
        elif category == "Mn" or category.startswith("C") or character == "\ufffd":
            continue
        else:
            alone = _is_punctuation(character, category) or _is_chinese(character)
            spaced += f" {character} " if alone else character
    return spaced.split()


def _is_punctuation(character: str, category: str) -> bool:
    """All of ASCII that is neither letter nor digit counts, such as $ and +."""
    ascii_mark = character.isascii() and not character.isalnum()
    return ascii_mark or category.startswith("P")


def _is_chinese(character: str) -> bool:
    """The blocks of CJK unified and compatibility ideographs."""
    code = ord(character)
    return (
        0x3400 <= code <= 0x4DBF
        or 0x4E00 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x2CEAF
        or 0x2F800 <= code <= 0x2FA1F
    )
