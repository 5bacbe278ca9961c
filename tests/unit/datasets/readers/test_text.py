import pytest

from madang.datasets import Dataset
from madang.errors import InputError, UnknownNameError


def test_every_line_is_a_row(file):
    path = file("\ufeff하나\r\n\r\n셋\n", "a.txt")
    assert Dataset.from_text(path).to_dict() == {"text": ["하나", "", "셋"]}
    assert Dataset.from_text(path, keep_linebreaks=True)["text"] == ["하나\n", "\n", "셋\n"]
    assert Dataset.from_text(file("a\rb", "b.txt"))["text"] == ["a", "b"]
    assert Dataset.from_text(file("", "c.txt")).num_rows == 0


def test_signs_that_unicode_calls_line_breaks_are_none(file):
    assert Dataset.from_text(file("a\u2028b\x0bc\x85d\ne", "a.txt"))["text"] == ["a\u2028b\x0bc\x85d", "e"]


def test_many_blocks_are_cut_at_lines(file):
    expected = [f"줄 {n}" * (n % 7) for n in range(60_000)]
    assert Dataset.from_text(file("\n".join(expected), "a.txt"))["text"] == expected


def test_paragraphs_and_documents(file):
    path = file("a\nb\n\nc\n\n\nd\n", "a.txt")
    assert Dataset.from_text(path, sample_by="paragraph")["text"] == ["a\nb", "c", "\nd\n"]
    assert Dataset.from_text(path, sample_by="document")["text"] == ["a\nb\n\nc\n\n\nd\n"]
    with pytest.raises(UnknownNameError, match="sample_by"):
        Dataset.from_text(path, sample_by="word")


def test_a_wrong_encoding_names_the_file(file):
    path = file("하나", "a.txt", "cp949")
    for how in ("line", "paragraph", "document"):
        with pytest.raises(InputError, match=r"a\.txt is not utf-8.*'cp949'"):
            Dataset.from_text(path, sample_by=how)
    assert Dataset.from_text(path, encoding="cp949")["text"] == ["하나"]
    assert Dataset.from_text(path, encoding="utf-8", encoding_errors="ignore").num_rows == 1
