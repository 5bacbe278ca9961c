import pytest

from madang.datasets.plan import Access, Folder, of_file, of_folder, of_format, resolved
from madang.errors import DataFilesNotFoundError, InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("a/train.csv", "a/b/test.csv", "more.json", "noise.md"):
        (tmp_path / "rows" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "rows" / name).write_text("n\n1\n", encoding="utf-8")
    return str(tmp_path / "rows")


def names(plan):
    return {split: [file.name.rsplit("/", 1)[-1] for file in files] for split, files in plan.files.items()}


def test_a_folder_within_the_folder(folder):
    plan = of_folder(folder, None, "a", None, {}, Access())
    assert (plan.format, names(plan)) == ("csv", {"train": ["train.csv"], "test": ["test.csv"]})
    assert names(of_folder(folder, None, None, "a/*.csv", {}, Access())) == {"train": ["train.csv"]}


def test_a_folder_outside_is_refused(folder):
    with pytest.raises(InputError, match="leads out of"):
        of_folder(folder, None, "../x", None, {}, Access())
    with pytest.raises(InputError, match="must be relative"):
        of_folder(folder, None, "/tmp", None, {}, Access())


def test_a_card_in_a_folder_names_nothing_outside(folder, tmp_path):
    for place in ("../x.csv", "/etc/passwd", "a/../../x.csv", "file:///etc/passwd", "zip://a::../x.zip"):
        text = f"---\nconfigs:\n- config_name: default\n  data_files: {place}\n---\n"
        (tmp_path / "rows" / "README.md").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="names data outside the folder"):
            of_folder(folder, None, None, None, {}, Access())
    (tmp_path / "x.csv").write_text("n\n1\n", encoding="utf-8")
    assert names(of_folder(folder, None, None, "../x.csv", {}, Access())) == {"train": ["x.csv"]}


def test_a_format_takes_any_file_that_is_named_but_finds_only_its_own(folder):
    assert names(of_format("text", None, None, f"{folder}/noise.md", {}, Access())) == {"train": ["noise.md"]}
    assert names(of_format("json", None, folder, None, {}, Access())) == {"train": ["more.json"]}
    with pytest.raises(DataFilesNotFoundError, match=r"No \(supported\) data files found"):
        of_format("parquet", None, folder, None, {}, Access())


def test_one_file_says_its_format(folder):
    plan = of_file(f"{folder}/more.json", None, {})
    assert (plan.format, plan.label) == ("json", "more.json")


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(DataFilesNotFoundError, match=str(tmp_path)):
        of_folder(str(tmp_path), None, None, None, {}, Access())


def test_a_folder_knows_its_files_and_addresses_are_no_paths(folder):
    assert sorted(Folder(folder).names) == ["a/b/test.csv", "a/train.csv", "more.json", "noise.md"]
    assert resolved("https://a.b/c.csv", folder, Access())[0].name == "https://a.b/c.csv"
    assert resolved(f"file://{folder}/more.json", None, Access())[0].name == f"{folder}/more.json"
