"""The cache folder: made once, whole or not at all, kept below a size."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from madang.datasets import cache
from madang.errors import InputError


@pytest.fixture(autouse=True)
def root(monkeypatch, tmp_path):
    """A cache folder for each test."""
    for name in ("MADANG_DATASETS_CACHE_MAX_BYTES", "HF_DATASETS_DISABLE_CACHING", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_held", {})
    monkeypatch.setattr(cache, "_caching", None)
    monkeypatch.setattr(cache, "_temporary", None)
    yield tmp_path / "cache"
    close_all()


def close_all():
    """As if the process had ended: nothing is in use any more."""
    while cache._held:
        os.close(cache._held.popitem()[1])


def writer(content="x", calls=None):
    def make(part):
        if calls is not None:
            calls.append(part)
        part.write_text(content, encoding="utf-8")

    return make


def folder_writer(**files):
    def make(part):
        part.mkdir()
        for name, content in files.items():
            (part / name).write_text(content, encoding="utf-8")

    return make


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".entries")


def script(source, **environment):
    """A process that runs `source` with `cache` and `Path` at hand."""
    source = "import os, sys, time\nfrom pathlib import Path\nfrom madang.datasets import cache\n" + textwrap.dedent(
        source
    )
    return subprocess.Popen(
        [sys.executable, "-c", source],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition):
    """Wait for another process."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited 20 s in vain"
        time.sleep(0.01)


class TestWhere:
    def test_the_settings_name_it(self, monkeypatch, tmp_path):
        assert cache.root() == tmp_path / "cache"
        monkeypatch.delenv("HF_DATASETS_CACHE")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        assert cache.root() == tmp_path / "home" / "datasets"
        monkeypatch.delenv("HF_HOME")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache.root() == tmp_path / "huggingface" / "datasets"

    def test_caching_is_on_until_switched_off(self, monkeypatch):
        assert cache.is_caching_enabled()
        monkeypatch.setenv("HF_DATASETS_DISABLE_CACHING", "1")
        assert not cache.is_caching_enabled()
        cache.enable_caching()
        assert cache.is_caching_enabled()
        cache.disable_caching()
        assert not cache.is_caching_enabled()


class TestOnce:
    def test_makes_what_is_not_there_and_takes_what_is(self, root):
        calls: list[Path] = []
        path = root / "deep" / "down" / "a.arrow"
        assert cache.once(path, writer("one", calls)) == path
        assert cache.once(path, writer("two", calls)) == path
        assert path.read_text() == "one"
        assert len(calls) == 1
        assert calls[0] != path
        assert calls[0].parent == path.parent
        assert visible(path.parent) == ["a.arrow"]

    def test_makes_folders(self, root):
        path = cache.once(root / "data", folder_writer(a="1", b="2"))
        assert visible(path) == ["a", "b"]

    def test_works_outside_the_cache_folder_and_leaves_nothing_else_there(self, tmp_path):
        cache.once(tmp_path / "own" / "a.arrow", writer())
        assert [path.name for path in (tmp_path / "own").iterdir()] == ["a.arrow"]
        assert cache.entries() == []

    def test_files_are_as_readable_as_others(self, root, tmp_path):
        path = cache.once(root / "a", writer())
        (tmp_path / "plain").write_text("x", encoding="utf-8")
        assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode

    @pytest.mark.parametrize("error", [ValueError("row 3"), KeyboardInterrupt(), OSError(errno.EIO, "broken disk")])
    def test_a_failure_leaves_nothing_and_the_next_one_makes_it(self, root, error):
        def fail(part):
            part.mkdir()
            (part / "half").write_text("x", encoding="utf-8")
            raise error

        with pytest.raises(type(error)) as caught:
            cache.once(root / "a", fail)
        assert caught.value is error
        assert visible(root) == []
        cache.once(root / "a", writer())
        assert visible(root) == ["a"]

    @pytest.mark.parametrize(
        "error",
        [
            OSError(errno.ENOSPC, "No space left on device"),
            OSError("[Errno 28] Error writing. Detail: No space left on device"),
        ],
    )
    def test_a_full_disk_is_told_and_leaves_nothing(self, root, error):
        def fill(part):
            part.write_bytes(b"x" * 5000)
            raise error

        with pytest.raises(cache.CacheError, match=r"a\.arrow had 5\.0 kB so far, and .* are free.*prune") as caught:
            cache.once(root / "a.arrow", fill)
        assert caught.value.errno == errno.ENOSPC
        assert isinstance(caught.value, OSError)
        assert not (root / "a.arrow").exists()
        assert cache.size() == 0

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
    def test_a_disk_that_is_really_full(self, root):
        def fill(part):
            part.symlink_to("/dev/full")
            with open(part, "w", encoding="utf-8") as file:
                file.write("x" * 100_000)

        with pytest.raises(cache.CacheError, match="is full"):
            cache.once(root / "a", fill)
        assert visible(root) == []

    def test_a_function_that_writes_nothing_is_told(self, root):
        with pytest.raises(InputError, match="nothing was written"):
            cache.once(root / "a", lambda part: None)

    def test_threads_that_ask_at_once_make_it_once(self, root):
        calls: list[Path] = []
        begin = threading.Barrier(4)

        def slow(part):
            calls.append(part)
            time.sleep(0.1)
            part.write_text("x", encoding="utf-8")

        def ask():
            begin.wait()
            cache.once(root / "a", slow)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(calls) == 1
        assert visible(root) == ["a"]

    def test_processes_that_ask_at_once_make_it_once(self, root, tmp_path):
        source = f"""
            def make(part):
                with open({str(tmp_path / "log")!r}, "a") as log:
                    log.write("made\\n")
                time.sleep(0.5)
                part.mkdir()
                (part / "a").write_text("x")
            Path({str(tmp_path)!r}, f"ready-{{os.getpid()}}").touch()
            while not Path({str(tmp_path / "go")!r}).exists():
                time.sleep(0.005)
            print((cache.once(Path({str(root)!r}) / "data", make) / "a").read_text())
        """
        asking = [script(source) for _ in range(3)]
        until(lambda: len(list(tmp_path.glob("ready-*"))) == 3)
        (tmp_path / "go").touch()
        assert [process.communicate()[0].strip() for process in asking] == ["x"] * 3
        assert (tmp_path / "log").read_text() == "made\n"
        assert visible(root) == ["data"]

    def test_what_a_killed_process_left_is_removed_and_never_used(self, root):
        source = """
            def make(part):
                part.mkdir()
                (part / "half").write_text("x" * 1000)
                print("begun", flush=True)
                time.sleep(60)
            cache.once(cache.root() / NAME, make)
        """
        making = [script(source.replace("NAME", repr(name))) for name in ("data", "other")]
        for process in making:
            assert process.stdout.readline() == "begun\n"
        for process in making:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert not (root / "data").exists()
        assert len([name for name in visible(root) if name.startswith(".incomplete-")]) == 2
        cache.once(root / "data", folder_writer(a="1"))
        assert visible(root) == ["data"]
        assert visible(root / "data") == ["a"]

    def test_what_another_process_is_still_writing_is_left_alone(self, root):
        process = script(
            f"""
            def make(part):
                part.write_text("other")
                print("begun", flush=True)
                time.sleep(0.5)
            cache.once(Path({str(root)!r}) / "slow", make)
            """
        )
        assert process.stdout.readline() == "begun\n"
        cache.once(root / "quick", writer())
        assert [name for name in visible(root) if name.startswith(".incomplete-")]
        process.communicate()
        assert visible(root) == ["quick", "slow"]

    def test_a_cache_that_cannot_be_written_is_used_as_it_is(self, root, monkeypatch):
        path = cache.once(root / "a", writer("there"))
        close_all()
        refuse = PermissionError(errno.EACCES, "Permission denied")

        def forbidden(*_, **__):
            raise refuse

        for name in ("open", "mkdir", "utime"):
            monkeypatch.setattr(os, name, forbidden)
        assert cache.once(path, writer("new")) == path
        assert path.read_text() == "there"
        with pytest.raises(cache.CacheError, match="HF_DATASETS_CACHE") as caught:
            cache.once(root / "new" / "b", writer())
        assert caught.value.errno == errno.EACCES

    @pytest.mark.parametrize("make", [writer("new"), folder_writer(new="1")])
    def test_what_is_forgotten_is_made_anew(self, root, make):
        path = cache.once(root / "a", folder_writer(old="1"))
        cache.forget(path)
        assert not path.exists()
        cache.forget(path)
        cache.once(path, make)
        assert visible(root) == ["a"]
        assert "old" not in os.listdir(path) if path.is_dir() else path.read_text() == "new"

    def test_cleaning_a_folder_forgets_results_and_keeps_the_rest(self, root):
        cache.once(root / "set" / "data.arrow", writer())
        for name in ("cache-1.arrow", "cache-2.arrow"):
            cache.once(root / "set" / name, writer())
        used = cache.once(root / "set" / "cache-3", folder_writer(a="1"))
        assert cache.clean(root / "set", keep=[str(used / "a"), root / "set" / "cache-1.arrow"]) == 1
        assert visible(root / "set") == ["cache-1.arrow", "cache-3", "data.arrow"]
        assert cache.clean(root / "set") == 2
        assert [entry.name for entry in cache.entries()] == ["set/data.arrow"]


class TestSizes:
    def test_entries_tell_name_size_and_last_use(self, root):
        before = time.time() - 1
        cache.once(root / "set" / "one", folder_writer(a="x" * 100, b="y" * 50))
        cache.once(root / "set" / "one" / "cache-1.arrow", writer("z" * 30))
        found = {entry.name: entry for entry in cache.entries()}
        assert {name: entry.bytes for name, entry in found.items()} == {"set/one": 150, "set/one/cache-1.arrow": 30}
        assert all(before <= entry.last_used.timestamp() <= time.time() + 1 for entry in found.values())
        assert found["set/one"].path == root / "set" / "one"
        assert cache.size(root / "set") == 180
        assert cache.size(root / "set" / "one" / "a") == 100
        assert cache.size() >= 180

    def test_what_others_put_there_is_no_entry(self, root):
        cache.once(root / "a", writer())
        (root / "photo.jpg").write_text("mine", encoding="utf-8")
        assert [entry.name for entry in cache.entries()] == ["a"]
        close_all()
        cache.prune(0)
        assert visible(root) == ["photo.jpg"]

    def test_an_entry_that_was_removed_by_hand_is_none(self, root):
        cache.once(root / "a", writer()).unlink()
        assert cache.entries() == []

    def test_an_empty_cache(self):
        assert cache.entries() == []
        assert cache.size() == 0
        assert cache.prune("1GB") == []

    @pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside", ""])
    def test_a_forged_note_cannot_reach_outside(self, root, tmp_path, name):
        (tmp_path / "outside").write_text("mine", encoding="utf-8")
        cache.once(root / "a", writer())
        (root / ".entries" / cache._name_key(name)).write_text(name, encoding="utf-8")
        close_all()
        cache.prune(0)
        assert (tmp_path / "outside").read_text() == "mine"


class TestPruning:
    def fill(self, root, *names):
        """Entries of 100 bytes, each used later than the one before."""
        for place, name in enumerate(names):
            path = cache.once(root / name, writer("x" * 100))
            os.utime(cache._marker(path), (place, place))
        close_all()

    def test_removes_what_was_not_used_for_longest(self, root):
        self.fill(root, "a", "b", "c", "d")
        cache.once(root / "a", writer())
        close_all()
        gone = cache.prune(250)
        assert [entry.name for entry in gone] == ["b", "c"]
        assert visible(root) == ["a", "d"]
        assert cache.prune(250) == []

    def test_leaves_what_this_process_uses(self, root):
        self.fill(root, "a", "b")
        cache.once(root / "a", writer())
        assert [cache.is_in_use(entry) for entry in cache.entries()] == [False, True]
        cache.prune(0)
        assert visible(root) == ["a"]

    def test_leaves_what_another_process_uses_until_it_ends_however_that_is(self, root):
        self.fill(root, "a", "b")
        process = script(
            f"""
            cache.once(Path({str(root)!r}) / "a", None)
            print("using", flush=True)
            time.sleep(60)
            """
        )
        assert process.stdout.readline() == "using\n"
        cache.prune(0)
        assert visible(root) == ["a"]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        cache.prune(0)
        assert visible(root) == []

    def test_a_folder_goes_with_what_lies_in_it_and_stays_while_that_is_used(self, root):
        cache.once(root / "set", folder_writer(a="x" * 100))
        inner = cache.once(root / "set" / "cache-1.arrow", writer("y" * 100))
        close_all()
        cache.once(inner, writer())
        assert cache.prune(0) == []
        assert inner.exists()
        close_all()
        assert [entry.name for entry in cache.prune(0)] == ["set/cache-1.arrow", "set"]
        assert visible(root) == []

    def test_what_is_derived_goes_before_what_it_is_made_from(self, root):
        cache.once(root / "set", folder_writer(a="x" * 100))
        cache.once(root / "set" / "cache-1.arrow", writer("y" * 100))
        close_all()
        assert [entry.name for entry in cache.prune(100)] == ["set/cache-1.arrow"]
        assert visible(root / "set") == ["a"]

    def test_a_dataset_stays_while_something_is_made_from_it(self, root):
        cache.once(root / "set", folder_writer(a="x"))
        close_all()

        def make(part):
            assert cache.prune(0) == []
            part.write_text("y", encoding="utf-8")

        cache.once(root / "set" / "cache-1.arrow", make)
        assert visible(root / "set") == ["a", "cache-1.arrow"]

    def test_what_was_pruned_is_made_anew(self, root):
        self.fill(root, "a")
        cache.prune(0)
        cache.once(root / "a", writer("again"))
        assert (root / "a").read_text() == "again"
        assert [entry.name for entry in cache.entries()] == ["a"]

    def test_the_limit_is_kept_when_something_new_comes(self, root, monkeypatch):
        self.fill(root, "a", "b", "c")
        monkeypatch.setenv("MADANG_DATASETS_CACHE_MAX_BYTES", "0.25 kB")
        cache.once(root / "new", writer("x" * 100))
        assert visible(root) == ["c", "new"]
        cache.once(root / "larger", writer("x" * 1000))
        assert "larger" in visible(root)  # in use, so it stays whatever the limit says

    def test_a_process_holds_the_locks_of_its_latest_entries_only(self, root, monkeypatch):
        monkeypatch.setattr(cache, "_HELD_AT_MOST", 2)
        for name in "abc":
            cache.once(root / name, writer())
        assert len(cache._held) == 2
        cache.prune(0)
        assert visible(root) == ["b", "c"]


class TestTemporaryFolder:
    def test_is_one_folder_that_goes_at_the_end(self):
        process = script("print(cache.temporary_folder(), cache.temporary_folder().is_dir(), cache.temporary_folder())")
        first, there, second = process.communicate()[0].split()
        assert first == second
        assert there == "True"
        assert not Path(first).exists()

    def test_a_forked_process_shares_it_and_leaves_it(self):
        process = script(
            """
            folder = cache.temporary_folder()
            if os.fork() == 0:
                (cache.temporary_folder() / "result").write_text("x")
                sys.exit(0)
            os.wait()
            print(folder, (folder / "result").read_text())
            """
        )
        folder, text = process.communicate()[0].split()
        assert text == "x"
        assert not Path(folder).exists()

    def test_lies_in_tmpdir_which_is_made(self, monkeypatch, tmp_path):
        monkeypatch.setenv("TMPDIR", str(tmp_path / "not" / "there"))
        assert cache.temporary_folder().parent == tmp_path / "not" / "there"

    def test_a_tmpdir_that_is_none_is_told(self, monkeypatch, tmp_path):
        (tmp_path / "file").write_text("x", encoding="utf-8")
        monkeypatch.setenv("TMPDIR", str(tmp_path / "file"))
        with pytest.raises(OSError, match=r"TMPDIR is set to .* is not a directory"):
            cache.temporary_folder()
        monkeypatch.setenv("TMPDIR", str(tmp_path / "file" / "below"))
        with pytest.raises(OSError, match=r"TMPDIR is set to .* could not be created"):
            cache.temporary_folder()

    def test_comes_back_when_somebody_removed_it(self):
        cache.temporary_folder().rmdir()
        assert cache.temporary_folder().is_dir()
