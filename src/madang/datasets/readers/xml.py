"""XML files: the text of each file is a row of the column `xml`."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from madang.datasets.readers import text


def read(files: Iterable[Any], *, column: str = "xml", **options: Any) -> Iterator[pa.Table]:
    """The text of all files, as it is: nothing in it is looked up or expanded."""
    return text.read(files, sample_by="document", column=column, **options)
