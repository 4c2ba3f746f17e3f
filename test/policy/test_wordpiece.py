"""Prompts of π0-small, compared with the tokens of BERT's own tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.wordpiece import WordPieceTokenizer

#: Pieces of the vocabulary in BERT's own test of its tokenizer, behind the padding.
PIECES = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "want", "##want", "##ed", "wa", "un", "runn"),
    *("##ing", ",", "low", "lowest"),
)


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    return path


def pieces_of(vocabulary: Path, text: str, max_tokens: int = 16) -> list[str]:
    """Pieces of ``text`` that count."""
    tokenizer = WordPieceTokenizer(vocabulary, max_tokens=max_tokens, vocab=14)
    tokens, mask = tokenizer.encode_task(text)
    assert tokens.shape == mask.shape == (max_tokens,)
    assert (tokens[~mask] == 0).all()
    return [PIECES[number] for number in tokens[mask]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # From test_tokenization_bert.py of BERT and transformers.
        ("UNwant\u00e9d,running", "un ##want ##ed , runn ##ing"),
        ("unwanted running", "un ##want ##ed runn ##ing"),
        ("unwantedX running", "[UNK] runn ##ing"),
        # The longest piece wins. If a part of a word is unknown, the whole word is.
        ("lowest", "lowest"),
        ("lower", "[UNK]"),
        ("want wa, wanted", "want wa , want ##ed"),
        ("want" * 26, "[UNK]"),
    ],
)
def test_pieces_are_those_of_bert(vocabulary: Path, text: str, expected: str) -> None:
    assert pieces_of(vocabulary, text) == ["[CLS]", *expected.split(), "[SEP]"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ah\u535a\u63a8zz", ["ah", "\u535a", "\u63a8", "zz"]),
        (" \tHeLLo!how  \n Are yoU?  ", ["hello", "!", "how", "are", "you", "?"]),
        (" \tH\u00e4LLo!how  \n Are yoU?  ", ["hallo", "!", "how", "are", "you", "?"]),
        ("can't  !!to?'d", ["can", "'", "t", "!", "!", "to", "?", "'", "d"]),
        ("5$ + 3\u20ac \u2013 a\u200bb", ["5", "$", "+", "3\u20ac", "\u2013", "ab"]),
        ("no\u00a0break", ["no", "break"]),
    ],
)
def test_words_are_those_of_bert(tmp_path: Path, text: str, expected: list[str]) -> None:
    pieces = list(dict.fromkeys(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *expected)))
    (tmp_path / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    tokenizer = WordPieceTokenizer(tmp_path / "vocab.txt", max_tokens=16, vocab=len(pieces))
    tokens, mask = tokenizer.encode_task(text)
    assert [pieces[number] for number in tokens[mask]] == ["[CLS]", *expected, "[SEP]"]


def test_a_special_token_in_the_text_is_plain_text(vocabulary: Path) -> None:
    assert pieces_of(vocabulary, "low [SEP]") == ["[CLS]", "low", *["[UNK]"] * 3, "[SEP]"]


def test_a_word_of_more_than_100_characters_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##a\n", encoding="utf-8")
    tokenizer = WordPieceTokenizer(path, max_tokens=128, vocab=6)
    tokens, mask = tokenizer.encode_task("a" * 100)
    assert tokens[mask].tolist() == [2, 4, *[5] * 99, 3]
    tokens, mask = tokenizer.encode_task("a" * 101)
    assert tokens[mask].tolist() == [2, 1, 3]


def test_refuses_a_prompt_that_is_too_long(vocabulary: Path) -> None:
    assert pieces_of(vocabulary, "low low low", max_tokens=5)[-1] == "[SEP]"
    with pytest.raises(PolicyError, match=r"has 6 tokens and the model takes 5: use a shorter"):
        pieces_of(vocabulary, "low low low low", max_tokens=5)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"\xff\xfe\x00", "not a WordPiece vocabulary"),
        (b"want\nlow\n", r"\[PAD\], \[UNK\], \[CLS\], \[SEP\] is missing"),
        (b"low\n[PAD]\n[UNK]\n[CLS]\n[SEP]\n", r"\[PAD\] comes first"),
    ],
)
def test_refuses_a_file_that_is_no_vocabulary(
    tmp_path: Path, contents: bytes, message: str
) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(contents)
    with pytest.raises(PolicyError, match=message):
        WordPieceTokenizer(path, max_tokens=48, vocab=512)


def test_refuses_more_pieces_than_the_network_knows(vocabulary: Path) -> None:
    with pytest.raises(PolicyError, match="14 pieces, the model knows 13"):
        WordPieceTokenizer(vocabulary, max_tokens=48, vocab=13)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="copy the tokenizer again"):
        WordPieceTokenizer(tmp_path / "vocab.txt", max_tokens=48, vocab=512)
