"""Room for a push while it is looked at: files without a name, gone with the process whatever happens."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from madang.server.errors import StorageFull, is_full


@contextmanager
def temporary_file(folder: Path) -> Iterator[BinaryIO]:
    """A file in `folder`, which is made when it is not there. Raises StorageFull from writes within the block."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            yield file
    except OSError as error:
        if is_full(error):
            raise StorageFull("the disk of this hub is full. Nothing of the push was kept.") from error
        raise
