"""Files written aside, then swapped in: whoever reads sees the old content or the new, never a half."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_file(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Replace `path` with what `write` puts into the temporary path it is given.

    Killed at any moment, or failing, this leaves the earlier file as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes files only their owner may read; a saved model is an ordinary file
        part.chmod(0o666 & ~_umask())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Replace the file at `path` with `text`, in UTF-8 and with the line ends as they are."""
    write_file(path, lambda part: part.write_text(text, encoding="utf-8", newline=""))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def staged(folder: str | os.PathLike[str], stale: Callable[[str], bool] = lambda name: False) -> Iterator[Path]:
    """A temporary folder whose files are moved into `folder` when the block ends without an error.

    Killed or failing before that, `folder` is as it was. Files already in `folder` whose name `stale` accepts and which
    were not written anew are removed at the end. `config.json`, by which others recognise a model, moves last.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder) as name:
        part = Path(name)
        yield part
        written = sorted(part.iterdir(), key=lambda file: file.name == "config.json")
        for file in written:
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())
            os.replace(file, folder / file.name)
        for file in folder.iterdir():
            if file.is_file() and stale(file.name) and file.name not in {new.name for new in written}:
                file.unlink()
