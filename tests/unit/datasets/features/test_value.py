import pyarrow as pa
import pytest

from madang.datasets.features import Value
from madang.datasets.features.value import name_of, type_called
from madang.errors import InputError, UnknownNameError


@pytest.mark.parametrize(
    "kind",
    [
        pa.null(),
        pa.bool_(),
        pa.uint16(),
        pa.float16(),
        pa.float64(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(7),
        pa.date32(),
        pa.time64("us"),
        pa.duration("s"),
        pa.timestamp("s"),
        pa.timestamp("ns", tz="America/New_York"),
        pa.timestamp("us", tz="+07:30"),
        pa.decimal128(10, 2),
        pa.decimal256(40, -3),
    ],
)
def test_every_type_of_single_values_has_a_name_that_leads_back(kind):
    assert type_called(name_of(kind)) == kind
    assert Value(name_of(kind))() == kind


@pytest.mark.parametrize(
    "name", ["int", "time32[ns]", "timestamp[blob]", "timestamp[[ns]]", "timestamp[ns, tz=[ns]]", "decimal20(30, -4)"]
)
def test_a_name_that_is_none_is_a_value_error(name):
    with pytest.raises(ValueError, match="unknown dtype"):
        type_called(name)


def test_an_unknown_dtype_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'int32'"):
        Value("int23")


def test_lists_have_no_name():
    with pytest.raises(InputError, match="list<item: int8> does not have a datasets dtype equivalent"):
        name_of(pa.list_(pa.int8()))


def test_older_spellings_are_the_same_value():
    assert Value(dtype="double", id=None) == Value("float64")
    assert Value("utf8")() == pa.string()
    assert Value("string", id="a") != Value("string")


def test_values_become_the_kind_of_the_column():
    assert Value("int32").encode_example("5") == 5
    assert Value("string").encode_example(5) == "5"
    assert Value("bool").encode_example(1) is True
    assert Value("float32").encode_example("1.5") == 1.5
    assert Value("binary").encode_example(b"a") == b"a"
