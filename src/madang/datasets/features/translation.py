"""The same text in several languages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from madang.datasets.features.lists import List
from madang.datasets.features.value import Value
from madang.errors import InputError


@dataclass
class Translation:
    """One text for each of `languages`: `{"en": "the cat", "ko": "고양이"}`."""

    languages: list[str]
    id: str | None = None
    dtype: ClassVar[str] = "dict"
    pa_type: ClassVar[Any] = None
    _type: ClassVar[str] = "Translation"

    def __repr__(self) -> str:
        return f"Translation(languages={self.languages})"

    def __call__(self) -> pa.DataType:
        """The Arrow type values are stored in: a struct with a text per language."""
        return self.arrow_type()

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in: a struct with a text per language."""
        return pa.struct({language: pa.string() for language in sorted(self.languages)})

    def flatten(self) -> dict[str, Any]:
        """The features of its members."""
        return {language: Value("string") for language in sorted(self.languages)}


@dataclass
class TranslationVariableLanguages:
    """Texts in some of `languages` (in any, when None), one or several of each, which may differ from row to row.

    >>> TranslationVariableLanguages(["de", "en"]).encode_example({"en": "the cat", "de": ["die Katze", "der Kater"]})
    {'language': ['de', 'de', 'en'], 'translation': ['der Kater', 'die Katze', 'the cat']}
    """

    languages: list[str] | None = None
    num_languages: int | None = None
    id: str | None = None
    dtype: ClassVar[str] = "dict"
    pa_type: ClassVar[Any] = None
    _type: ClassVar[str] = "TranslationVariableLanguages"

    def __post_init__(self) -> None:
        self.languages = sorted(set(self.languages)) if self.languages else None
        self.num_languages = len(self.languages) if self.languages else None

    def __repr__(self) -> str:
        return f"TranslationVariableLanguages(languages={self.languages}, num_languages={self.num_languages})"

    def __call__(self) -> pa.DataType:
        """The Arrow type values are stored in: a struct of two lists of equal length."""
        return self.arrow_type()

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in: a struct of two lists of equal length."""
        return pa.struct({"language": pa.list_(pa.string()), "translation": pa.list_(pa.string())})

    def encode_example(self, value: Mapping[str, Any]) -> dict[str, list[str]]:
        """Two lists of equal length, ordered by language, from `{language: text or list of texts}`."""
        if set(value) == {"language", "translation"}:
            return dict(value)
        unknown = sorted(set(value) - set(self.languages or value))
        if unknown:
            raise InputError(f"there are texts in {unknown}; the languages of this column are {self.languages}.")
        pairs = sorted((language, text) for language, texts in value.items() for text in _listed(texts))
        return {"language": [language for language, _ in pairs], "translation": [text for _, text in pairs]}

    def flatten(self) -> dict[str, Any]:
        """The features of its members."""
        return {"language": List(Value("string")), "translation": List(Value("string"))}


def _listed(texts: Any) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)
