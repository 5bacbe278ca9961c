"""Numbers of bytes as people write them."""

import pytest

from madang.datasets.sizes import read_size, readable
from madang.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20GB", 20 * 10**9),
        ("500 MB", 500 * 10**6),
        ("1.5kb", 1500),
        ("1KiB", 1024),
        ("2 gib", 2 << 30),
        ("1P", 10**15),
        ("7", 7),
        (7, 7),
        (0, 0),
    ],
)
def test_sizes_are_read(text: int | str, expected: int) -> None:
    assert read_size(text) == expected


@pytest.mark.parametrize("text", ["", "much", "20 XB", "5 apples", "-1", "-1KB", -1, "1e9", "i", "iB", True, None])
def test_what_is_no_size_is_told(text: object) -> None:
    with pytest.raises(InputError, match=r"not in a valid format.*20GB"):
        read_size(text)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (45_678, "45.7 kB"),
        (999_999, "1.0 MB"),
        (1_234_567_890, "1.2 GB"),
        (5_000_000_000_000, "5.0 TB"),
    ],
)
def test_sizes_are_written(count: int, expected: str) -> None:
    assert readable(count) == expected
