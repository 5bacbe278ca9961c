import zipfile

import pytest

from madang.client.source import Source
from madang.datasets.hub import Repository
from madang.datasets.plan import Access, Folder, Hosted, of_file, of_folder, of_format, resolved
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


OUTSIDE = [
    "~/x.csv", "zip://x.csv::~/y.zip", "local:///etc/passwd", "file:///etc/passwd", "/etc/passwd", "../x.csv",
    "a/../../x.csv", "zip://a::../x.zip", "zip://a::/x.zip", "https://a.b/c.csv", "s3://a/b.csv",
    "hf://x.csv::/etc/secret.zip", "hf://x::http://127.0.0.1:9/a.zip", "zip://a::zip://b::http://127.0.0.1:9/a.zip",
    "http://a::more.zip", "hf://datasets/a/b/../../c/d/x.csv", "memory://a::more.zip",
]  # fmt: skip


@pytest.mark.parametrize("pattern", OUTSIDE)
def test_a_card_leads_neither_to_this_machine_nor_to_other_servers(folder, pattern, monkeypatch):
    monkeypatch.setattr("madang.datasets.plan.resolved", lambda *_: pytest.fail("it was looked at"))
    for place in (Folder(folder), Hosted(Repository(Source("a/b", repo_type="dataset"), ["x.csv"]))):
        with pytest.raises(InputError, match="names data outside the"):
            place.resolve(pattern, Access())


def test_a_card_may_name_files_inside_its_archives(folder):
    with zipfile.ZipFile(f"{folder}/more.zip", "w") as archive:
        archive.writestr("in/x.csv", "n\n1\n")
    found = Folder(folder).resolve("zip://in/*.csv::more.zip", Access())
    assert [file.name for file in found] == [f"zip://in/x.csv::{folder}/more.zip"]


def test_an_archive_of_a_card_on_a_hub_is_one_of_the_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("more.zip", "w") as archive:
        archive.writestr("x.csv", "n\n1\n")
    place = Hosted(Repository(Source("a/b", repo_type="dataset"), ["x.csv"]))
    with pytest.raises(DataFilesNotFoundError, match=r"a/b/more\.zip on the hub"):
        place.resolve("zip://x.csv::more.zip", Access())


def test_only_users_own_patterns_begin_at_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", folder)
    assert names(of_folder(folder, None, None, "~/a/train.csv", {}, Access())) == {"train": ["train.csv"]}
    assert names(of_format("csv", None, None, "~/a/train.csv", {}, Access())) == {"train": ["train.csv"]}


def test_links_to_folders_outside_are_followed_only_for_the_user(folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.csv").write_text("n\n1\n", encoding="utf-8")
    (tmp_path / "rows" / "way").symlink_to(tmp_path / "other")
    (tmp_path / "rows" / "a" / "near").symlink_to(tmp_path / "rows" / "a" / "b")
    assert not [name for name in Folder(folder).names if "way" in name]
    for pattern in ("way/x.csv", "way/*", "w*/x.csv"):
        with pytest.raises(InputError, match="names data outside the folder"):
            Folder(folder).resolve(pattern, Access())
        assert names(of_folder(folder, None, None, pattern, {}, Access())) == {"train": ["x.csv"]}
    assert [file.name for file in Folder(folder).resolve("**/train.csv", Access())] == [f"{folder}/a/train.csv"]
