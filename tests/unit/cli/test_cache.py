"""`madang cache`."""

import argparse
import os

import pytest

from madang.cli import cache as command
from madang.datasets import cache


@pytest.fixture
def madang(monkeypatch, tmp_path):
    """Run `madang cache …` on a cache with two entries; the older one is `old.arrow`, 100 bytes."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "_held", {})
    for age, (name, count) in enumerate([("new.arrow", 2500), ("old.arrow", 100)]):
        path = cache.once(tmp_path / name, lambda part, count=count: part.write_bytes(b"x" * count))
        os.utime(cache._marker(path), (10**9 - age, 10**9 - age))
    for handle in cache._held.values():
        os.close(handle)
    cache._held.clear()

    def run(*arguments):
        parser = argparse.ArgumentParser(prog="madang")
        command.add_parser(parser.add_subparsers())
        parsed = parser.parse_args(["cache", *arguments])
        return parsed.run(parsed)

    return run


def test_list_shows_sizes_last_use_and_names(madang, capsys, tmp_path):
    assert madang("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["100", "2.5"]
    assert [line.split()[-1] for line in lines[:2]] == ["old.arrow", "new.arrow"]
    assert " 2001-09-" in lines[0]
    assert lines[2] == f"2 entries, 2.6 kB, in {tmp_path}"


def test_list_says_what_is_in_use(madang, capsys, tmp_path):
    cache.once(tmp_path / "new.arrow", lambda part: None)
    madang("list")
    assert "in use now" in capsys.readouterr().out
    for handle in cache._held.values():
        os.close(handle)


def test_size_tells_what_is_not_the_caches_own(madang, capsys, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"x" * 10**6)
    assert madang("size") == 0
    printed = capsys.readouterr().out
    assert f"2.6 kB in {tmp_path}" in printed
    assert "1.0 MB beside" in printed


def test_prune_removes_the_oldest(madang, capsys, tmp_path):
    assert madang("prune", "--max", "2.5kB") == 0
    printed = capsys.readouterr().out
    assert "old.arrow" in printed
    assert "removed 1 entry, 100 bytes; 1 entry left, 2.5 kB." in printed
    assert not (tmp_path / "old.arrow").exists()
    assert (tmp_path / "new.arrow").exists()


@pytest.mark.parametrize("arguments", [("prune",), ("prune", "--max", "much"), (), ("clear",)])
def test_wrong_arguments_end_with_an_explanation(madang, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        madang(*arguments)
    assert caught.value.code == 2
    assert "usage: madang cache" in capsys.readouterr().err
