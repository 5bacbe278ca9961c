"""Functions as JSON schemas."""

from typing import Any, Literal

import pytest

from madang.errors import InputError
from madang.tokenizers.tools import schema


def weather(
    city: str,
    days: int = 1,
    unit: Literal["c", "f"] = "c",
    tags: list[str] | None = None,
    more: dict[str, float] | None = None,
) -> str:
    """Tell the weather of a city.

    Quickly.

    Args:
        city: where,
            in words
        days (int): how many days
        unit: of temperature
        tags: words
        more: numbers

    Returns:
        a text
    """
    return f"{city}{days}{unit}{tags}{more}"


def test_a_function_is_described_by_its_hints_and_docstring() -> None:
    function = schema(weather)["function"]
    assert function["name"] == "weather"
    assert function["description"] == "Tell the weather of a city.\n\nQuickly."
    assert function["parameters"]["required"] == ["city"]
    assert function["parameters"]["properties"] == {
        "city": {"type": "string", "description": "where, in words"},
        "days": {"type": "integer", "description": "how many days"},
        "unit": {"type": "string", "enum": ["c", "f"], "description": "of temperature"},
        "tags": {"type": "array", "items": {"type": "string"}, "nullable": True, "description": "words"},
        "more": {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "nullable": True,
            "description": "numbers",
        },
    }


def undescribed(city: str) -> None:
    """Do something."""


def untyped(city) -> None:  # type: ignore[no-untyped-def]
    """Do something.

    Args:
        city: where
    """


def silent(city: str) -> None:
    pass


def odd(city: complex) -> None:
    """Do something.

    Args:
        city: where
    """


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (undescribed, "'city' of the tool undescribed.. has no line under 'Args:'"),
        (untyped, "'city' of the tool untyped.. has no type hint"),
        (silent, "silent.. has no docstring"),
        (odd, "complex.*has no JSON form"),
        (5, "a tool is a function"),
    ],
)
def test_what_is_missing_is_named(function: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        schema(function)
