"""What partial clones ask to be left out."""

import pytest

from madang.server.errors import InvalidRequest
from madang.server.git.protocol.filters import Filter, parse_filter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("blob:none", Filter(size=0)),
        ("blob:limit=10", Filter(size=10)),
        ("blob:limit=3k", Filter(size=3072)),
        ("blob:limit=2M", Filter(size=2 * 1024**2)),
        ("tree:0", Filter(depth=0)),
        ("combine:tree:3+blob:limit=5", Filter(depth=3, size=5)),
        ("combine:blob%3Anone+tree%3A2+tree:1", Filter(depth=1, size=0)),
    ],
)
def test_filters_are_read_as_git_spells_them(text: str, expected: Filter) -> None:
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "blob", "blob:limit=", "blob:limit=-1", "blob:limit=1t", "tree:x", "sparse:oid=main", "combine:", "combine:x"],
)
def test_others_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest, match="none of blob:none"):
        parse_filter(text)
