"""The words of the pages, a file per language, all with the same keys."""

from madang.server.web.translations import en, ko

WORDS = {"en": en.WORDS, "ko": ko.WORDS}


def language_of(accepted: str) -> str:
    """The language of `WORDS` that an `Accept-Language` header likes best; English when it names none of them."""
    best, weight = "en", 0.0
    for item in accepted[:1000].split(","):
        name, _, parameter = item.strip().partition(";")
        language = name.partition("-")[0].lower()
        if language in WORDS and (found := _weight(parameter)) > weight:
            best, weight = language, found
    return best


def _weight(parameter: str) -> float:
    name, _, number = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(number)
    except ValueError:
        return 0.0
