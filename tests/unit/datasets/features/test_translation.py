import pyarrow as pa
import pytest

from madang.datasets.features import List, Translation, TranslationVariableLanguages, Value


def test_one_text_per_language():
    feature = Translation(languages=["ko", "en"])
    assert feature() == pa.struct({"en": pa.string(), "ko": pa.string()})
    assert feature.flatten() == {"en": Value("string"), "ko": Value("string")}
    assert repr(feature) == "Translation(languages=['ko', 'en'])"


class TestVariableLanguages:
    feature = TranslationVariableLanguages(languages=["fr", "en", "de", "en"])

    def test_languages_are_told_once(self):
        assert self.feature.languages == ["de", "en", "fr"]
        assert self.feature.num_languages == 3
        assert self.feature.flatten() == {"language": List(Value("string")), "translation": List(Value("string"))}

    def test_texts_become_two_lists_ordered_by_language(self):
        stored = self.feature.encode_example({"fr": ["le chat", "la chatte"], "en": "the cat"})
        assert stored == {"language": ["en", "fr", "fr"], "translation": ["the cat", "la chatte", "le chat"]}

    def test_what_is_stored_stays(self):
        stored = {"language": ["en"], "translation": ["the cat"]}
        assert self.feature.encode_example(stored) == stored

    def test_a_language_that_was_not_announced_is_refused(self):
        with pytest.raises(
            ValueError, match=r"texts in \['ko'\]; the languages of this column are \['de', 'en', 'fr'\]"
        ):
            self.feature.encode_example({"ko": "고양이"})

    def test_without_languages_any_will_do(self):
        assert TranslationVariableLanguages().encode_example({"ko": "고양이"})["language"] == ["ko"]
