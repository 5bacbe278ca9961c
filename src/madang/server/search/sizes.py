"""Numbers of parameters as terms, so that models of a range of sizes are read off in the order of a list.

A model of 7.2 billion parameters has two: `e9`, its power of ten, and `7e9`, its first digit there. A range is a few of
them: between 6 billion and 128 billion are `6e9` to `9e9`, `e10`, and some of `1e11`.
"""

from collections.abc import Iterator

# the largest power of ten in 63 bits
_LAST = 18


def names(parameters: int) -> list[str]:
    """The terms of a model with so many parameters."""
    if not 0 < parameters < 2**63:
        return ["0"] if parameters == 0 else []
    digits = str(parameters)
    return [f"e{len(digits) - 1}", f"{digits[0]}e{len(digits) - 1}"]


def touched(least: int, most: int) -> Iterator[tuple[str, bool]]:
    """The fewest terms that together hold all models of a range, and whether every model of the term is within."""
    if least <= 0 <= most:
        yield "0", True
    for power in range(_LAST + 1):
        start, end = 10**power, 10 ** (power + 1) - 1
        if least <= start and end <= most:
            yield f"e{power}", True
        elif least <= end and start <= most:
            for digit in range(1, 10):
                first, last = digit * start, (digit + 1) * start - 1
                if least <= last and first <= most:
                    yield f"{digit}e{power}", least <= first and last <= most
