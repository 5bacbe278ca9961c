import pytest

from madang.datasets import Dataset
from madang.errors import InputError, MissingFileError


@pytest.fixture
def file(tmp_path):
    def write(content, name="data.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def kinds(dataset):
    return {name: feature.dtype for name, feature in dataset.features.items()}


def test_a_byte_order_mark_and_windows_line_ends_leave_no_trace(file):
    data = Dataset.from_csv(file("\ufeff제목,label\r\n축구,1\r\n금리,0\r\n"))
    assert data.to_list() == [{"제목": "축구", "label": 1}, {"제목": "금리", "label": 0}]


@pytest.mark.parametrize("header", ["title", "제목"])
def test_a_wrong_encoding_names_the_file_and_the_encoding_to_try(file, header):
    path = file(f"{header},label\n축구,1\n", encoding="cp949")
    with pytest.raises(InputError, match=r"data\.csv is not utf-8.*encoding='cp949'"):
        Dataset.from_csv(path)
    assert Dataset.from_csv(path, encoding="cp949")[0] == {header: "축구", "label": 1}


def test_cells_are_empty_where_pandas_has_them_empty(file):
    path = file('a,b\nNA,1\n"",\nx,nan\n')
    assert Dataset.from_csv(path).to_dict() == {"a": [None, None, "x"], "b": [1.0, None, None]}
    assert Dataset.from_csv(path, keep_default_na=False)["a"] == ["NA", "", "x"]
    assert Dataset.from_csv(path, keep_default_na=False, na_values="x")["a"] == ["NA", "", None]


def test_quoted_cells_hold_separators_quotes_and_line_breaks(file):
    assert Dataset.from_csv(file('a,b\n"x, ""y""\nz",1\n'))[0] == {"a": 'x, "y"\nz', "b": 1}


def test_dates_stay_text(file):
    assert kinds(Dataset.from_csv(file("day,time\n2016-06-30,10:36\n"))) == {"day": "string", "time": "string"}


def test_a_type_that_changes_late_in_the_file_is_found(file):
    data = Dataset.from_csv(file("a\n" + "1\n" * 600_000 + "x\n"))
    assert (kinds(data), data[600_000], data[0]) == ({"a": "string"}, {"a": "x"}, {"a": "1"})


def test_separators(file):
    assert Dataset.from_csv(file("a;b\n1;2\n"), sep=";")[0] == {"a": 1, "b": 2}
    assert Dataset.from_csv(file("a\tb\n1\t2\n", "data.tsv"))[0] == {"a": 1, "b": 2}


def test_columns_can_be_named_and_chosen(file):
    path = file("1,x\n2,y\n")
    assert Dataset.from_csv(path, header=None).column_names == ["0", "1"]
    assert Dataset.from_csv(path, names=["n", "s"], header=None).to_dict() == {"n": [1, 2], "s": ["x", "y"]}
    assert Dataset.from_csv(path, names=["n", "s"]).to_dict() == {"n": [2], "s": ["y"]}
    assert Dataset.from_csv(file(",a\n0,2\n"), usecols=["a"]).to_dict() == {"a": [2]}
    assert Dataset.from_csv(file(",a\n0,2\n")).column_names == ["Unnamed: 0", "a"]


def test_several_files_widen_numbers_and_leave_missing_columns_empty(file):
    data = Dataset.from_csv([file("a,b\n1,2\n", "one.csv"), file("a,c\n1.5,3\n", "two.csv")])
    assert data.to_dict() == {"a": [1.0, 1.5], "b": [2, None], "c": [None, 3]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3,4,5\n", r"data\.csv cannot be read as CSV.*Expected 2 columns, got 3: 3,4,5"),
        ("", r"data\.csv is empty"),
        ("a,a\n1,2\n", r"more than once: \['a'\]"),
    ],
)
def test_a_broken_file_is_named(file, content, message):
    with pytest.raises(InputError, match=message):
        Dataset.from_csv(file(content))


def test_files_that_disagree_are_both_named(file):
    with pytest.raises(InputError, match=r"'a' is int64 in .*one\.csv and string in .*two\.csv"):
        Dataset.from_csv([file("a\n1\n", "one.csv"), file("a\nx\n", "two.csv")])


def test_a_file_that_is_not_there_names_the_nearest(file):
    file("a\n1\n", "train.csv")
    with pytest.raises(MissingFileError, match=r"Did you mean 'train\.csv'"):
        Dataset.from_csv(file("a\n1\n").with_name("trian.csv"))


def test_what_is_written_reads_back(tmp_path):
    data = Dataset.from_dict({"title": ['x, "y"\nz', "축구", None], "n": [1, None, 3]})
    size = data.to_csv(tmp_path / "out.csv")
    assert size == (tmp_path / "out.csv").stat().st_size
    assert Dataset.from_csv(tmp_path / "out.csv").to_list() == data.to_list()
