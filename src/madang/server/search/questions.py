"""What can be asked of a list, and what was: parameters of the address in, a question out."""

import base64
import binascii
import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from madang.server.errors import InvalidRequest
from madang.server.search.text import LONGEST_QUERY, normal
from madang.server.search.walking import Order, Place

LARGEST_PAGE = 1000
# with the files of every repository, a page is shorter
LARGEST_FULL_PAGE = 100
MOST_FILTERS = 20

ORDERS = {
    "lastModified": "modified_at",
    "createdAt": "created_at",
    "downloads": "downloads",
    "likes": "likes",
    "trendingScore": "trending",
}
# how older clients and some applications spell them
ALIASES = {"last_modified": "lastModified", "modified": "lastModified", "created_at": "createdAt"} | {
    "created": "createdAt",
    "trending_score": "trendingScore",
    "trending": "trendingScore",
}
COMMON = ("filter", "author", "search", "q", "sort", "direction", "limit", "cursor", "full", "expand", "gated")
PARAMETERS = {
    "model": (
        *COMMON,
        *("pipeline_tag", "num_parameters", "cardData", "config", "fetch_config"),
        *("apps", "inference", "inference_provider"),
    ),
    "dataset": (*COMMON, "cardData"),
    "space": (*COMMON, "cardData", "models", "datasets", "linked"),
}
# No application outside the hub and no provider of inference is told apart here: any value fits, and the answer says
# so in a header that clients show.
WITHOUT_EFFECT = ("apps", "inference", "inference_provider")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)([KMBT]?)", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """One page of one list."""

    type: str
    tags: tuple[str, ...] = ()
    author: str | None = None
    models: tuple[str, ...] = ()  # Spaces that use these
    datasets: tuple[str, ...] = ()
    pipeline_tag: str | None = None
    gated: bool | None = None
    parameters: tuple[int, int] | None = None  # the least and the most
    names: tuple[str, ...] = ()  # what ids must contain
    words: tuple[str, ...] = ()  # what name, tags or card must contain
    sort: str = "trendingScore"
    descending: bool = True
    limit: int = LARGEST_PAGE
    after: Place | None = None
    full: bool = False
    card: bool = False
    config: bool = False
    linked: bool = False
    expand: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def order(self) -> Order:
        return Order(ORDERS[self.sort], self.descending)


def parse(type: str, given: Sequence[tuple[str, str]]) -> Question:
    """The question that the parameters of an address ask. Raises InvalidRequest, naming what would have been right."""
    # requests of older clients spell repeated parameters with brackets
    values: dict[str, list[str]] = {}
    for name, value in given:
        values.setdefault(name.removesuffix("[]"), []).append(value)
    for name in values:
        known(name, PARAMETERS[type], "parameter")
    one = {name: found[-1] for name, found in values.items()}
    sort = ALIASES.get(one.get("sort", ""), one.get("sort", "trendingScore"))
    known(sort, [name for name in ORDERS if type != "space" or name != "downloads"], "sort")
    direction = known(one.get("direction", "-1"), ("-1", "1"), "direction")
    full = flag(one, "full") or False
    return Question(
        type=type,
        tags=_few("filter", values.get("filter", ())),
        author=one.get("author"),
        models=_few("models", [name.lower() for name in values.get("models", ())]),
        datasets=_few("datasets", [name.lower() for name in values.get("datasets", ())]),
        pipeline_tag=one.get("pipeline_tag"),
        gated=flag(one, "gated"),
        parameters=sizes(one["num_parameters"]) if "num_parameters" in one else None,
        names=_few("search", [word for value in values.get("search", ()) for word in searched("search", value)]),
        words=_few("q", [word for value in values.get("q", ()) for word in searched("q", value)]),
        sort=sort,
        descending=direction == "-1",
        limit=min(_limit(one.get("limit")), LARGEST_FULL_PAGE if full else LARGEST_PAGE),
        after=place(one["cursor"], sort, direction) if "cursor" in one else None,
        full=full,
        card=flag(one, "cardData") or False,
        config=(flag(one, "config") or False) or (flag(one, "fetch_config") or False),
        linked=flag(one, "linked") or False,
        expand=tuple(dict.fromkeys(values.get("expand", ()))),
        ignored=tuple(name for name in WITHOUT_EFFECT if name in values),
    )


def known(value: str, legal: Sequence[str], what: str) -> str:
    """The value, if it is legal. Raises InvalidRequest that names the nearest one that is."""
    if value in legal:
        return value
    near = difflib.get_close_matches(value[:100], legal, 1, 0.5)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    choices = "|".join(f'"{name}"' for name in legal)
    raise InvalidRequest(f"{value[:100]!r} is no {what} here.{meant} It takes one of {choices}.")


def flag(values: dict[str, str], name: str) -> bool | None:
    """A parameter that is true or false; None when it is not given."""
    if name not in values:
        return None
    legal = {"true": True, "1": True, "": True, "false": False, "0": False}
    value = values[name].lower()
    if value not in legal:
        raise InvalidRequest(f"{name}={values[name][:100]!r} is neither true nor false.")
    return legal[value]


def sizes(text: str) -> tuple[int, int]:
    """`min:6B,max:128B` as two numbers of parameters."""
    found = {"min": 0, "max": 2**62}
    for part in text.split(","):
        end, _, size = part.strip().partition(":")
        fits = _SIZE.fullmatch(size.strip())
        if end not in found or fits is None:
            raise InvalidRequest(
                f"num_parameters={text[:100]!r} cannot be read. Write min:6B,max:128B, or one of the two; K, M, B and T"
                " are thousands, millions and so on."
            )
        found[end] = min(int(Decimal(fits[1]) * _UNITS[fits[2].upper()]), 2**62)
    return found["min"], found["max"]


def searched(name: str, text: str) -> list[str]:
    """The words of a search, as they are compared."""
    if len(text) > LONGEST_QUERY:
        raise InvalidRequest(f"{name} has {len(text)} characters: search for {LONGEST_QUERY} at most.")
    return normal(text).split()


def cursor(question: Question, stop: Place) -> str:
    """A place as text, for the address of the next page."""
    spelled = json.dumps([question.sort, -1 if question.descending else 1, stop.value, stop.repository_id])
    return base64.urlsafe_b64encode(spelled.encode()).decode().rstrip("=")


def place(text: str, sort: str, direction: str) -> Place:
    """What `cursor` wrote. Raises InvalidRequest for anything else, and for the cursor of another order."""
    try:
        found = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        of_sort, of_direction, value, identity = found
        number = float if ORDERS[sort] == "trending" else int
        fits = type(identity) is int and 0 <= identity < 2**63 and isinstance(value, number | int)
        fits = fits and type(value) is not bool and abs(value) < 2**63
    except (ValueError, TypeError, binascii.Error, RecursionError):
        fits = False
    if not fits or (of_sort, str(of_direction)) != (sort, direction):
        raise InvalidRequest("the cursor belongs to another list. Begin at the first page, and follow its Link header.")
    return Place(number(value), identity)


def _limit(given: str | None) -> int:
    if given is None:
        return LARGEST_PAGE
    if not (given.isascii() and given.isdigit() and 0 < len(given) < 10 and int(given)):
        raise InvalidRequest(f"limit={given[:100]!r} is no number from 1 on.")
    return int(given)


def _few(name: str, values: Sequence[str]) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(values))
    if len(kept) > MOST_FILTERS:
        raise InvalidRequest(f"{len(kept)} values for {name}: ask for {MOST_FILTERS} at most.")
    return kept
