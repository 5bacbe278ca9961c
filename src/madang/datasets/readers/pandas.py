"""Tables that pandas saved: Feather and Parquet. Pickles are refused, because reading one runs the code in it."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from madang.datasets.readers import arrow, parquet
from madang.datasets.readers.files import local
from madang.errors import InputError


def read(files: Iterable[Any], **options: Any) -> Iterator[pa.Table]:
    """The rows of all files, told apart by how they begin.

    Raises InputError for a pickle.
    """
    for file in local(files):
        with file.open() as stored:
            begin = stored.read(6)
        if begin.startswith(b"PAR1"):
            yield from parquet.read([file], **options)
        elif begin == arrow.FILE_FORMAT:
            yield from arrow.read([file], **options)
        else:
            raise InputError(
                f"{file.name} is neither Feather nor Parquet. A pickle can run any code when it is read, so none is "
                "read here. If you trust where it comes from: Dataset.from_pandas(pandas.read_pickle(path)); to keep "
                "it, save it with DataFrame.to_parquet."
            )
