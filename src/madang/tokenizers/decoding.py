"""What decoding does beside the Rust tokenizer: refuse ids that are none, and clean up English text."""

from typing import Any

from madang.errors import InputError

# the order counts: a later rule may meet what an earlier one left
_CLEAN = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
]


def clean_up(text: str) -> str:
    """English text without the blanks that splitting put before punctuation and contractions."""
    for found, wanted in _CLEAN:
        text = text.replace(found, wanted)
    return text


def checked_ids(rows: list[list[Any]]) -> list[list[int]]:
    """`rows` as they are; InputError when a number in them cannot be an id."""
    for row in rows:
        for number in row:
            if number < 0:
                raise InputError(
                    f"cannot decode the id {number}: ids count from 0. Labels use -100 for what is ignored; "
                    "replace it with tokenizer.pad_token_id first."
                )
    return rows
