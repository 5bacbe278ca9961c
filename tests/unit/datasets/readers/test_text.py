import pytest

from madang.datasets import Dataset
from madang.errors import InputError


def test_every_line_is_a_row(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeff하나\r\n\r\n셋\n".encode())
    assert Dataset.from_text(tmp_path / "a.txt").to_dict() == {"text": ["하나", "", "셋"]}
    assert Dataset.from_text(tmp_path / "a.txt", keep_linebreaks=True)["text"][2] == "셋\n"


def test_a_wrong_encoding_names_the_file(tmp_path):
    (tmp_path / "a.txt").write_bytes("하나".encode("cp949"))
    with pytest.raises(InputError, match=r"a\.txt is not utf-8"):
        Dataset.from_text(tmp_path / "a.txt")
    assert Dataset.from_text(tmp_path / "a.txt", encoding="cp949")["text"] == ["하나"]
