"""A file is the old one or the new one, never a half."""

import os

import pytest

from madang.writing import staged, write_file, write_text


def fail(part):
    part.write_text("half")
    raise KeyboardInterrupt


def test_a_failed_write_leaves_the_earlier_file_and_nothing_else(tmp_path):
    path = tmp_path / "config.json"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt):
        write_file(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["config.json"]


def test_text_is_utf8_with_its_own_line_ends_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "merges.txt"
    write_text(path, "마당\r\n뜰\n")
    assert path.read_bytes() == "마당\r\n뜰\n".encode()


def test_a_written_file_may_be_read_by_others(tmp_path):
    mask = os.umask(0o022)
    try:
        write_text(tmp_path / "a", "")
    finally:
        os.umask(mask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_a_staged_folder_changes_only_when_all_files_are_written(tmp_path):
    (tmp_path / "model.safetensors").write_text("old")

    def save():
        with staged(tmp_path) as part:
            (part / "model.safetensors").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save()
    assert os.listdir(tmp_path) == ["model.safetensors"]
    assert (tmp_path / "model.safetensors").read_text() == "old"


def test_staging_removes_only_what_is_stale_and_not_written_anew(tmp_path):
    for name in ("shard-1", "shard-2", "notes.txt"):
        (tmp_path / name).write_text("old")
    with staged(tmp_path, stale=lambda name: name.startswith("shard")) as part:
        (part / "shard-1").write_text("new")
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", "shard-1"]
    assert (tmp_path / "shard-1").read_text() == "new"


def test_the_config_arrives_last(tmp_path, monkeypatch):
    moved = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (moved.append(os.path.basename(new)), replace(old, new)))
    with staged(tmp_path) as part:
        for name in ("config.json", "a.safetensors", "z.json"):
            (part / name).write_text("")
    assert moved == ["a.safetensors", "z.json", "config.json"]
