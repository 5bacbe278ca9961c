import io
import lzma
import os
import pickle
import tarfile
import zipfile

import pytest

from madang.datasets.readers import text
from madang.datasets.readers.files import DataFile, blocks, in_order, lines, members, whole
from madang.errors import DatasetGenerationError, InputError


@pytest.fixture
def archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name in ("b/one.txt", "../evil.txt", "/root.txt", ".hidden.txt", "__MACOSX/x.txt"):
            packed.writestr(name, f"{name}\n")
    for ending, mode in (("tar", "w"), ("tar.gz", "w:gz"), ("tar.xz", "w:xz")):
        with tarfile.open(tmp_path / f"a.{ending}", mode) as packed:
            for name in ("b/one.txt", "two.txt"):
                entry = tarfile.TarInfo(name)
                entry.size = 4
                packed.addfile(entry, io.BytesIO(f"{name[:3]}\n".encode()))
            link = tarfile.TarInfo("link.txt")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            packed.addfile(link)
    return tmp_path


def test_members_are_read_and_never_unpacked(archives):
    found = members(DataFile(str(archives / "a.zip")))
    assert [member.inside for member in found] == ["/root.txt", "b/one.txt"]
    assert [whole(member) for member in found] == [b"/root.txt\n", b"b/one.txt\n"]
    assert sorted(os.listdir(archives)) == ["a.tar", "a.tar.gz", "a.tar.xz", "a.zip"]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.xz"])
def test_ordinary_members_of_tars_are_read_and_links_are_not(archives, name):
    found = members(DataFile(str(archives / name)))
    assert [(member.inside, whole(member)) for member in found] == [("b/one.txt", b"b/o\n"), ("two.txt", b"two\n")]
    assert [whole(member) for member in pickle.loads(pickle.dumps(found))] == [b"b/o\n", b"two\n"]


def test_what_is_no_archive_is_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"nothing")
    with pytest.raises(DatasetGenerationError, match=r"a\.zip is not a whole archive"):
        members(DataFile(str(tmp_path / "a.zip")))


def test_a_file_that_is_not_there_names_the_nearest(tmp_path):
    (tmp_path / "train.csv").write_text("a", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'train\.csv'"):
        DataFile(str(tmp_path / "trian.csv")).existing()


def test_identity_changes_with_the_content(tmp_path):
    file = DataFile(str(tmp_path / "a"))
    (tmp_path / "a").write_bytes(b"one")
    before = file.key()
    (tmp_path / "a").write_bytes(b"other")
    assert file.key() != before


def test_lines_are_never_cut():
    assert list(lines([b"ab", b"c\nd", b"e\nf\ng"])) == [b"abc\n", b"de\nf\n", b"g"]
    assert list(lines([b"", b"x"])) == [b"x"]


def test_a_sign_cut_in_two_by_a_block_is_whole_again(tmp_path):
    (tmp_path / "a").write_bytes("가나다".encode("cp949"))
    assert b"".join(blocks(DataFile(str(tmp_path / "a")), "cp949", size=1)).decode() == "가나다"


def test_utf16_is_known_by_its_mark(tmp_path):
    (tmp_path / "a.txt").write_bytes("가\n나\n".encode("utf-16"))
    with pytest.raises(InputError, match="try encoding='utf-16'"):
        list(text.read([tmp_path / "a.txt"]))
    assert next(text.read([tmp_path / "a.txt"], encoding="utf-16"))["text"].to_pylist() == ["가", "나"]


def test_an_encoding_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"x")
    with pytest.raises(InputError, match="unknown encoding: nope"):
        list(text.read([tmp_path / "a.txt"], encoding="nope"))


def test_a_damaged_file_is_named(tmp_path):
    packed = lzma.compress(os.urandom(100_000))
    (tmp_path / "a.xz").write_bytes(packed[:50_000])
    with pytest.raises(DatasetGenerationError, match=r"a\.xz cannot be read to its end"):
        whole(DataFile(str(tmp_path / "a.xz")))


def test_threads_keep_the_order_and_pass_errors_on():
    assert list(in_order(lambda number: number * 2, range(50))) == list(range(0, 100, 2))
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda number: 1 // number, [1, 0, 1]))


def test_a_damaged_member_of_an_archive_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("one.csv", "".join(f"{i},{i * 7919 % 1013}\n" for i in range(50_000)))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[5000:5050] = b"\x55" * 50  # no longer what deflate writes
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DatasetGenerationError, match=r"a\.zip cannot be read to its end"):
        [whole(member) for member in members(DataFile(str(tmp_path / "a.zip")))]
