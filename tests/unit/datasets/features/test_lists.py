import copy
import pickle

from madang.datasets.features import ClassLabel, LargeList, List, Sequence, Value


def test_printing_is_what_people_know():
    assert repr(List(Value("int32"), length=3)) == "List(Value('int32'), length=3)"
    assert repr(LargeList(Value("int8"))) == "LargeList(Value('int8'))"
    assert repr(Sequence({"a": Value("int64")})) == "{'a': List(Value('int64'))}"


def test_sequence_is_a_list_or_a_dict_of_lists():
    assert Sequence(feature=Value("int8"), length=2, id=None) == List(Value("int8"), length=2)
    assert Sequence({"a": Value("int8")}, length=2) == {"a": List(Value("int8"), length=2)}
    assert isinstance(List(Value("int8")), Sequence)
    assert not isinstance(LargeList(Value("int8")), Sequence)


def test_the_short_form_is_equal():
    assert List(Value("int8")) == [Value("int8")]
    assert List(Value("int8"), length=2) != [Value("int8")]
    assert List(Value("int8")) != [Value("int16")]


def test_lists_of_other_widths_and_lengths_differ():
    assert List(Value("int8")) != LargeList(Value("int8"))
    assert List(Value("int8")) != List(Value("int8"), length=2)


def test_lists_can_be_copied_and_pickled():
    nested = List(List(ClassLabel(names=["a"])), length=2)
    assert copy.deepcopy(nested) == nested
    assert pickle.loads(pickle.dumps(nested)) == nested
