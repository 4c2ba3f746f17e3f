"""Small tokenizers for demonstrations, in the formats of the real ones and with their rules."""

from __future__ import annotations

import io
import re
import string

import sentencepiece

PAD, EOS, BOS, UNKNOWN = 0, 1, 2, 3

#: The training text, with enough words for common tasks; other text falls back to bytes.
INSTRUCTIONS = (
    "pick up the red cube and hand it to the left arm",
    "transfer the cube from the right gripper to the left gripper",
    "fold the towel on the table",
    "fold the shirt and place it on the pile",
    "put the plates and the cups into the bin",
    "bus the table: put the trash into the trash bin and the dishes into the dish bin",
    "open the drawer, take out the spoon and close the drawer",
    "insert the peg into the socket",
    "pour the coffee beans into the grinder",
    "move the bowl to the center of the table",
    "drive to the laundry machine and take the clothes out of the dryer",
    "place the bottle upright behind the box",
    "stack the blue block on top of the green block",
    "wipe the counter with the sponge",
    "push the button, then return to the home pose",
    "Task: pick up the pen, State: 0 12 34 56 78 90 128 255;\nAction: ",
)


#: BERT's special tokens; padding is number 0.
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def train_tokenizer(size: int) -> bytes:
    """A SentencePiece model of at most ``size`` pieces: pad 0, eos 1, bos 2, newline one piece.

    Bytes are pieces too, so every text can be encoded. The result depends only on ``size``.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(INSTRUCTIONS),
        model_writer=model,
        model_type="bpe",
        vocab_size=size,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        user_defined_symbols=["\n"],
        pad_id=PAD,
        eos_id=EOS,
        bos_id=BOS,
        unk_id=UNKNOWN,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def wordpiece_vocabulary(size: int) -> bytes:
    """A WordPiece vocabulary of at most ``size`` pieces, one per line, in BERT's format.

    It holds the special tokens, characters, their continuations, and words of the instructions.
    With ``size`` above 108, every text of ASCII letters, digits and punctuation can be encoded.
    """
    inside = string.ascii_lowercase + string.digits
    text = " ".join(INSTRUCTIONS).lower()
    words = [word for word in re.findall(r"[a-z]+|[0-9]+", text) if len(word) > 1]
    pieces = (*SPECIAL, *inside, *string.punctuation, *(f"##{c}" for c in inside), *words)
    return "".join(f"{piece}\n" for piece in list(dict.fromkeys(pieces))[:size]).encode()
