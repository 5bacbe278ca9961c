"""Full text in any language: words are found inside other words, as Korean needs it (번역 finds 기계번역을).

The index holds pieces of words. In scripts with many characters (Korean, Japanese, Chinese) a piece is a character and
each two neighbours, in others each three neighbours. It only proposes repositories: what a search answers with holds
the words themselves, character by character, so that 가 does not find 간.
"""

import unicodedata
import zlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

# of each text so much is searched; longer cards are searched up to here
LONGEST_TEXT = 50_000
LONGEST_QUERY = 200
# from here on a single character says something: Hangul, Kana, Han
_LARGE_SCRIPTS = "\u1100"


def normal(text: str) -> str:
    """Composed, in lower case, one blank between words: macOS and some editors send syllables taken apart."""
    # databases keep no NUL in text
    composed = unicodedata.normalize("NFC", text.replace("\0", " "))
    return " ".join(unicodedata.normalize("NFC", composed.casefold()).split())


def pieces(word: str, *, whole: bool) -> Iterator[str]:
    """What a word is indexed by; for a query (not `whole`) only what is needed to find it."""
    large = [sign >= _LARGE_SCRIPTS for sign in word]
    for start, sign in enumerate(word):
        if large[start] and (whole or len(word) == 1):
            yield sign
        if start + 1 < len(word) and (large[start] or large[start + 1]):
            yield word[start : start + 2]
        elif start + 2 < len(word) and not large[start + 2]:
            yield word[start : start + 3]


def grams(text: str, *, name: bool = False, whole: bool = True) -> set[int]:
    """The pieces of a normal text as numbers of 31 bits. Two may share a number: hits are looked at anyway."""
    salt = zlib.crc32(b"name") if name else 0
    return {
        zlib.crc32(piece.encode("utf-8", "replace"), salt) & 0x7FFFFFFF
        for word in set(text.split())
        for piece in pieces(word, whole=whole)
    }


def store(connection: Connection, repository_id: int, found: set[int]) -> None:
    """Put a repository into the index of the full text."""
    if connection.dialect.name == "sqlite":
        statement = sa.text("INSERT INTO search_grams (rowid, grams) VALUES (:id, :grams)")
        connection.execute(statement, {"id": repository_id, "grams": spelled(found)})
    else:
        statement = sa.text("INSERT INTO search_grams (repository_id, grams) VALUES (:id, :grams)")
        connection.execute(statement, {"id": repository_id, "grams": sorted(found)})


def discard(connection: Connection, repository_id: int, found: set[int]) -> None:
    """Take a repository out of it; `found` is what it was stored with."""
    if connection.dialect.name == "sqlite":
        statement = sa.text("INSERT INTO search_grams (search_grams, rowid, grams) VALUES ('delete', :id, :grams)")
        connection.execute(statement, {"id": repository_id, "grams": spelled(found)})
    else:
        connection.execute(sa.text("DELETE FROM search_grams WHERE repository_id = :id"), {"id": repository_id})


def proposals(connection: Connection, wanted: set[int], most: int) -> list[int] | None:
    """The repositories whose text has all of these grams; None when they are more than `most`."""
    if connection.dialect.name == "sqlite":
        query = sa.text("SELECT rowid FROM search_grams WHERE search_grams MATCH :grams LIMIT :most")
        values: dict[str, Any] = {"grams": " AND ".join(f"{gram:x}g" for gram in sorted(wanted)), "most": most + 1}
    else:
        query = sa.text("SELECT repository_id FROM search_grams WHERE grams @> CAST(:grams AS integer[]) LIMIT :most")
        values = {"grams": sorted(wanted), "most": most + 1}
    found = connection.scalars(query, values).all()
    return None if len(found) > most else list(found)


def spelled(found: set[int]) -> str:
    """Grams as the full-text table of SQLite reads them."""
    # the letter at the end keeps numbers from being read as operators or prefixes of one another
    return " ".join(f"{gram:x}g" for gram in sorted(found))
