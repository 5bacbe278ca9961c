import numpy as np
import pyarrow as pa
import pytest

from madang.datasets.features import ClassLabel
from madang.errors import InputError

LABEL = ClassLabel(names=["경제", "사회", "7"])


def test_names_and_numbers_turn_into_each_other():
    assert LABEL.int2str(1) == "사회"
    assert LABEL.int2str([0, 1]) == ["경제", "사회"]
    assert LABEL.str2int("사회") == 1
    assert LABEL.str2int([" 경제 ", "1", "7"]) == [0, 1, 2]
    assert LABEL.str2int("-1") == -1
    assert LABEL.num_classes == 3


@pytest.mark.parametrize("numbers", [np.array([2, 0]), pa.array([2, 0]).to_numpy(), (2, 0), iter([2, 0])])
def test_numbers_come_in_any_container(numbers):
    assert LABEL.int2str(numbers) == ["7", "경제"]


def test_numpy_numbers_are_numbers():
    assert LABEL.int2str(np.int32(1)) == "사회"
    assert LABEL.int2str(np.array(1)) == "사회"
    assert LABEL.encode_example(np.int8(1)) == 1


def test_names_can_be_left_to_numbers_or_lie_in_a_file(tmp_path):
    (tmp_path / "names.txt").write_text("경제\n사회\n\n", encoding="utf-8")
    assert ClassLabel(num_classes=2).names == ["0", "1"]
    assert ClassLabel(names_file=str(tmp_path / "names.txt")).names == ["경제", "사회"]
    assert ClassLabel(["a", "b"]) == ClassLabel(2, names=["a", "b"])


@pytest.mark.parametrize("wrong", [9, -1, [0, 3], None, 1.5, "사회", [None]])
def test_what_is_no_class_number_has_no_name(wrong):
    with pytest.raises(ValueError, match=r"class|whole number"):
        LABEL.int2str(wrong)


def test_a_number_outside_is_told():
    with pytest.raises(ValueError, match="Invalid integer class label 9: there are classes 0 to 2"):
        LABEL.int2str(9)


@pytest.mark.parametrize("wrong", [1, None, [1], "사회면", "3", "-2", ""])
def test_what_is_no_class_name_has_no_number(wrong):
    with pytest.raises(ValueError, match=r"class"):
        LABEL.str2int(wrong)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"Invalid string class label.*Did you mean '사회'"):
        LABEL.str2int("사회면")


@pytest.mark.parametrize(
    "given", [{"names": ["a", "a"]}, {"names": ["a"], "num_classes": 2}, {}, {"names": ["a"], "names_file": "x"}]
)
def test_contradictions_are_refused(given):
    with pytest.raises(InputError):
        ClassLabel(**given)


def test_names_are_a_list():
    with pytest.raises(TypeError, match="list, not as ndarray"):
        ClassLabel(names=np.array(["a"]))


def test_a_class_is_encoded_from_its_name_or_number():
    assert [LABEL.encode_example(given) for given in ("사회", 0, -1, 1.0, True)] == [1, 0, -1, 1, 1]
    for wrong in (3, -2, 0.5, b"a", [0]):
        with pytest.raises(ValueError, match=r"[Cc]lass"):
            LABEL.encode_example(wrong)


class TestCastStorage:
    def test_numbers_of_any_width_become_int64(self):
        stored = LABEL.cast_storage(pa.array([0, 1, -1, -100, None], pa.int16()))
        assert stored.type == pa.int64()
        assert stored.to_pylist() == [0, 1, -1, -100, None]

    def test_names_become_numbers_each_looked_up_once(self, monkeypatch):
        asked = []
        number = ClassLabel._number
        monkeypatch.setattr(ClassLabel, "_number", lambda self, name: asked.append(name) or number(self, name))
        assert LABEL.cast_storage(pa.array(["사회", "경제", None, "사회"])).to_pylist() == [1, 0, None, 1]
        assert sorted(asked) == ["경제", "사회"]

    def test_numbers_beyond_the_classes_are_refused(self):
        with pytest.raises(ValueError, match="Class label 3 is outside 0 to 2"):
            LABEL.cast_storage(pa.array([0, 3]))

    def test_nothing_stays_nothing(self):
        assert LABEL.cast_storage(pa.array([], pa.string())).type == pa.int64()
        assert LABEL.cast_storage(pa.array([None, None])).to_pylist() == [None, None]


def test_names_may_be_stored_as_views():
    names = pa.array(["사회", None, "경제"], pa.string_view())
    assert LABEL.cast_storage(names).to_pylist() == [1, None, 0]
