"""`madang COMMAND …`."""

import subprocess
import sys
from typing import Any

import pytest

import madang
from madang.cli import main as module
from madang.cli.main import COMMANDS, main
from madang.errors import InputError
from madang.notices import notice


def test_without_a_command_all_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["--help"], ["-h"]):
        assert main(argv) == 0
        said = capsys.readouterr().out
        assert all(f"  {name} " in said for name in COMMANDS)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"madang {madang.__version__}\n"


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datset"]) == 2
    assert "Did you mean 'dataset'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: madang {name}" in capsys.readouterr().out


def answering(error: BaseException) -> Any:
    class Command:
        @staticmethod
        def add_parser(subparsers: Any) -> None:
            def run(_: Any) -> None:
                notice("something\nelse")
                raise error

            subparsers.add_parser("cache").set_defaults(run=run)

    return Command


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (InputError("two\nlines"), 1, "madang: two lines\n"),
        (OSError(28, "No space left on device"), 1, "madang: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "madang: interrupted\n"),
    ],
)
def test_errors_are_one_line(
    error: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "import_module", lambda name: answering(error))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("warnings.filters", [])
        assert main(["cache"]) == status
    captured = capsys.readouterr()
    assert captured.err == f"madang: warning: something else\n{said}"
    assert captured.out == ""


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = "import sys; from madang.cli.main import main; sys.exit(main(['--help']) or 0)"
    command = f'{sys.executable} -c "{code}" | head -c 1'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("m", "")


def test_only_the_command_that_is_asked_for_is_loaded() -> None:
    code = (
        "import sys; from madang.cli.main import main; main(['--help']); "
        "print([name for name in sys.modules if name in ('pyarrow', 'numpy', 'torch', 'madang.datasets')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("[]\n")
