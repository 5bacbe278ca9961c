import pytest

from madang.datasets import ClassLabel, Dataset, Features, Value, load_dataset
from madang.datasets.readers import csv, csv_rows
from madang.errors import DatasetGenerationError, InputError, MissingFileError, UnknownNameError


@pytest.fixture
def file(file):
    def write(content, name="data.csv", encoding="utf-8"):
        return file(content, name, encoding)

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
    assert Dataset.from_csv(path, names=["n", "s"]).to_dict() == {"n": [1, 2], "s": ["x", "y"]}
    assert Dataset.from_csv(path, names=["n", "s"], header=0).to_dict() == {"n": [2], "s": ["y"]}
    assert Dataset.from_csv(file(",a\n0,2\n"), usecols=["a"]).to_dict() == {"a": [2]}
    assert Dataset.from_csv(file(",a\n0,2\n")).column_names == ["Unnamed: 0", "a"]


def test_several_files_widen_numbers_and_leave_missing_columns_empty(file):
    paths = [file("a,b\n1,2\n", "one.csv"), file("a,c\n1.5,3\n", "two.csv")]
    with pytest.warns(UserWarning, match="is missing in") as warned:
        data = Dataset.from_csv(paths)
    assert sorted(str(one.message).split("'")[1] for one in warned) == ["b", "c"]
    assert data.to_dict() == {"a": [1.0, 1.5], "b": [2, None], "c": [None, 3]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3,4,5\n", r"data\.csv cannot be read as CSV, line 3: .*Expected 2 columns, got 3: 3,4,5"),
        ("", r"data\.csv is empty"),
        ("a,a\n1,2\n", r"more than once: \['a'\]"),
    ],
)
def test_a_broken_file_is_named(file, content, message):
    with pytest.raises(InputError, match=message):
        Dataset.from_csv(file(content))


def test_files_that_disagree_are_both_named_with_the_line(file):
    message = r"two\.csv, line 3 \(row 2\): column 'a' is string there, for example 'x', but int64 in .*one\.csv"
    with pytest.raises(DatasetGenerationError, match=message):
        Dataset.from_csv([file("a\n1\n", "one.csv"), file("a\n2\nx\n", "two.csv")])


def test_numbers_become_text_where_features_say_so(file):
    paths = [file("a\n007\n", "one.csv"), file("a\nx\n", "two.csv")]
    assert Dataset.from_csv(paths, features=Features({"a": Value("string")}))["a"] == ["007", "x"]


def test_text_in_a_later_file_of_digits_stays_text(file):
    assert Dataset.from_csv([file("a\nx\n", "one.csv"), file("a\n007\n", "two.csv")])["a"] == ["x", "007"]


@pytest.mark.parametrize(("first", "second"), [("1", "1.5"), ("1.5", "1")])
def test_whole_numbers_and_fractions_go_together_in_either_order(file, first, second):
    data = Dataset.from_csv([file(f"a\n{first}\n", "one.csv"), file(f"a\n{second}\n", "two.csv")])
    assert data["a"] == [float(first), float(second)]


def test_a_fraction_late_in_the_file_makes_all_fractions(file):
    data = Dataset.from_csv(file("a\n" + "1\n" * 600_000 + "1.5\n"))
    assert (kinds(data), data[600_000], data[0]) == ({"a": "float64"}, {"a": 1.5}, {"a": 1.0})


def test_a_column_that_is_empty_at_first_takes_any_type(file):
    data = Dataset.from_csv(file("a,b\n" + ",1\n" * 300_000 + "x,2\n"))
    assert (data[0], data[300_000]) == ({"a": None, "b": 1}, {"a": "x", "b": 2})


def test_quoted_line_breaks_survive_the_cutting_into_blocks(file):
    cell = 'a ""b"",\n' * 50
    path = file("n,text\n" + "".join(f'{n},"{cell}"\n' for n in range(5000)))
    data = Dataset.from_csv(path)
    assert data["n"] == list(range(5000))
    assert set(data["text"]) == {cell.replace('""', '"')}


def test_quotes_in_the_middle_of_a_cell_are_plain_signs(file):
    path = file("n,text\n" + "".join(f'{n},5" disk\n' for n in range(100_000)))
    data = Dataset.from_csv(path)
    assert (data.num_rows, data[99_999]) == (100_000, {"n": 99_999, "text": '5" disk'})


def test_bad_lines_can_be_left_out(file):
    path = file("a,b\n1,2\n3,4,5\n6,7\n")
    assert Dataset.from_csv(path, on_bad_lines="skip")["a"] == [1, 6]
    with pytest.warns(UserWarning, match="3 cells instead of 2"):
        assert Dataset.from_csv(path, on_bad_lines="warn")["a"] == [1, 6]


@pytest.mark.parametrize(
    ("content", "options", "columns"),
    [
        ("#x\na\n1\n2\n", {"skiprows": 1}, {"a": [1, 2]}),
        ("a\n1\n2\n3\n", {"nrows": 2}, {"a": [1, 2]}),
        ("a;b\n1,5;2\n", {"sep": ";", "decimal": ","}, {"a": [1.5], "b": [2]}),
        ("a,b\n'x,y',1\n", {"quotechar": "'"}, {"a": ["x,y"], "b": [1]}),
        ('a,b\n"x,1\n', {"quoting": 3}, {"a": ['"x'], "b": [1]}),
        ("a,b\nx\\,y,1\n", {"escapechar": "\\"}, {"a": ["x,y"], "b": [1]}),
        ("a\nja\nnein\n", {"true_values": ["ja"], "false_values": ["nein"]}, {"a": [True, False]}),
        ("a,b,c\n1,2,3\n", {"usecols": [0, 2]}, {"a": [1], "c": [3]}),
        ("x\na\n1\n", {"header": 1}, {"a": [1]}),
        ("a\nNA\n", {"na_filter": False}, {"a": ["NA"]}),
        # from here on pandas reads
        ("a  b\n1    2\n", {"sep": r"\s+"}, {"a": [1], "b": [2]}),
        ("a,b\n1,2 # two\n", {"comment": "#"}, {"a": [1], "b": [2]}),
        ('a\n"1,000"\n', {"thousands": ","}, {"a": [1000]}),
        ("a\n1 2\n", {"converters": {"a": lambda cell: [int(part) for part in cell.split()]}}, {"a": [[1, 2]]}),
        ("a,b\n007,2\n", {"dtype": {"a": str}}, {"a": ["007"], "b": [2]}),
        ("a,b\n1,2\n3,4\n5,6\n", {"skiprows": [2]}, {"a": [1, 5], "b": [2, 6]}),
    ],
)
def test_options_have_pandas_names(file, content, options, columns):
    assert Dataset.from_csv(file(content), **options).to_dict() == columns


def test_an_unknown_option_names_the_nearest(file):
    with pytest.raises(UnknownNameError, match="Did you mean 'delimiter'"):
        Dataset.from_csv(file("a\n1\n"), delimeter=";")


def test_features_choose_and_cast_columns(file):
    features = Features({"label": ClassLabel(names=["no", "yes"]), "n": Value("int32")})
    data = Dataset.from_csv(file("n,label,more\n1,yes,x\n2,no,y\n"), features=features)
    assert data.features == features
    assert data.to_dict() == {"label": [1, 0], "n": [1, 2]}
    with pytest.raises(DatasetGenerationError, match=r"data\.csv.*'n'"):
        Dataset.from_csv(file("n\nx\n"), features=Features({"n": Value("int32")}))


def test_compressed_files_are_read_as_they_are(file):
    import bz2
    import gzip
    import lzma

    content = b"a\n1\n"
    for ending, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        assert Dataset.from_csv(file(pack(content), f"a.csv.{ending}"))["a"] == [1]


def test_a_compressed_file_that_was_cut_short_is_named(file):
    import gzip

    packed = gzip.compress(b"a\n" + b"".join(b"%d\n" % (n * 7919 % 1000) for n in range(50_000)))
    with pytest.raises(DatasetGenerationError, match=r"cut\.csv\.gz cannot be read to its end"):
        Dataset.from_csv(file(packed[: len(packed) // 2], "cut.csv.gz"))


def test_reading_again_from_the_cache_does_not_look_at_the_content(file, monkeypatch):
    path = file("a\n1\n")
    first = load_dataset("csv", data_files=str(path), split="train")
    monkeypatch.setattr(csv, "read", None)
    monkeypatch.setattr(csv_rows, "cut", None)
    again = load_dataset("csv", data_files=str(path), split="train")
    assert again.cache_files == first.cache_files
    assert again._fingerprint == first._fingerprint


def test_a_file_that_is_not_there_names_the_nearest(file):
    file("a\n1\n", "train.csv")
    with pytest.raises(MissingFileError, match=r"Did you mean 'train\.csv'"):
        Dataset.from_csv(file("a\n1\n").with_name("trian.csv"))


def test_what_is_written_reads_back(tmp_path):
    data = Dataset.from_dict({"title": ['x, "y"\nz', "축구", None], "n": [1, None, 3]})
    size = data.to_csv(tmp_path / "out.csv")
    assert size == (tmp_path / "out.csv").stat().st_size
    assert Dataset.from_csv(tmp_path / "out.csv").to_list() == data.to_list()


@pytest.mark.parametrize("content", ['a,b\n1,2\n3,"4\n5,6\n', 'a,b\n1,2\n3,"4\n5,6', 'a,b\n1,2\n3,"4\n5,6\n\n'])
def test_a_quote_that_nothing_closes_does_not_swallow_the_rest(file, content):
    with pytest.raises(DatasetGenerationError, match=r"data\.csv, line 3.*never closed"):
        Dataset.from_csv(file(content))
    assert len(Dataset.from_csv(file(content), quoting=3)) == 3


def test_features_that_name_a_column_that_the_file_lacks_are_told(file):
    features = Features({"a": Value("string"), "z": Value("int64")})
    with pytest.warns(UserWarning, match=r"column 'z' is missing in .*data\.csv"):
        data = Dataset.from_csv(file("a,b\nx,1\n"), features=features)
    assert data.to_dict() == {"a": ["x"], "z": [None]}
    with pytest.raises(DatasetGenerationError, match=r"data\.csv.*none of the features"):
        Dataset.from_csv(file("b,c\nx,1\n"), features=features)
