"""Finds the SentencePiece model of a checkpoint. Nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import sentencepiece

from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.tokenizer import BOS, EOS

TOKENIZER_FILE = "tokenizer.model"
_NAMES = (TOKENIZER_FILE, "paligemma_tokenizer.model")
_HUB_REPOSITORY = "google/paligemma-3b-pt-224"
_ADVICE = (
    f"give it with --tokenizer PATH: {TOKENIZER_FILE} of {_HUB_REPOSITORY} on the Hugging Face "
    f"Hub (`hf download {_HUB_REPOSITORY} {TOKENIZER_FILE}` puts it where this command looks), "
    "or gs://big_vision/paligemma_tokenizer.model"
)


def find_tokenizer(root: Path, given: Path | None = None) -> Path:
    """The given tokenizer (a file or its folder), or that of the checkpoint or the Hub's cache.

    Raises :class:`CheckpointError`, which names the needed file and its origin.
    """
    if given is not None:
        for path in (given, *(given / name for name in _NAMES)):
            if path.is_file():
                return path
        raise CheckpointError(f"{given}: no SentencePiece model there; {_ADVICE}")
    for path in _candidates(root):
        if path.is_file():
            return path
    raise CheckpointError(
        f"{root}: no {TOKENIZER_FILE} in it, nor in the Hugging Face cache {hub_cache()}; {_ADVICE}"
    )


def read_tokenizer(path: Path, vocab: int) -> bytes:
    """The bytes of a SentencePiece model.

    Raises :class:`CheckpointError` for any other file, for special tokens other than Gemma's, and
    for more pieces than the ``vocab`` rows of the token table.
    """
    if path.suffix == ".json":
        raise CheckpointError(f"{path}: a Hugging Face tokenizer, not SentencePiece; {_ADVICE}")
    pieces = sentencepiece.SentencePieceProcessor()
    try:
        data = path.read_bytes()
        pieces.LoadFromSerializedProto(data)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{path}: not a SentencePiece model ({error}); {_ADVICE}") from error
    if (pieces.bos_id(), pieces.eos_id()) != (BOS, EOS):
        raise CheckpointError(
            f"{path}: begin and end of a text are pieces {pieces.bos_id()} and {pieces.eos_id()}, "
            f"of Gemma {BOS} and {EOS}: this is the tokenizer of another model; {_ADVICE}"
        )
    if pieces.vocab_size() > vocab:
        raise CheckpointError(
            f"{path}: {pieces.vocab_size()} pieces and the token table has {vocab} rows; give the "
            "tokenizer that the checkpoint was trained with"
        )
    return data


def hub_cache() -> Path:
    """Folder of the Hugging Face Hub's cache, found as its library finds it."""
    if os.environ.get("HF_HUB_CACHE"):
        return Path(os.environ["HF_HUB_CACHE"])
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return Path(home) / "hub"


def _candidates(root: Path) -> Iterator[Path]:
    for folder in (root, root / "tokenizer", root / "assets"):
        for name in _NAMES:
            yield folder / name
    repository = hub_cache() / f"models--{_HUB_REPOSITORY.replace('/', '--')}"
    snapshots = repository / "snapshots"
    main = repository / "refs" / "main"
    if main.is_file():
        yield snapshots / main.read_text(encoding="utf-8").strip() / TOKENIZER_FILE
    yield from sorted(snapshots.glob(f"*/{TOKENIZER_FILE}"))
