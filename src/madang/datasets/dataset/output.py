"""A dataset as something else: lists, tables of other libraries, files, a stream, a repository on a hub."""

import os
from typing import TYPE_CHECKING, Any, cast

from madang.datasets.dataset.changing import Changing

if TYPE_CHECKING:
    from madang.datasets.dataset import Dataset
    from madang.datasets.stream import IterableDataset


class Output(Changing):
    """The ways out."""

    def to_dict(self, batch_size: int | None = None, batched: bool = False) -> Any:
        """All columns as lists; with `batched` such a dict per `batch_size` rows. Images and sound stay as stored."""
        from madang.datasets import output

        return output.to_dict(self, batch_size, batched)

    def to_list(self) -> list[dict[str, Any]]:
        """All rows as dicts; images and sound stay as stored."""
        from madang.datasets import output

        return output.to_list(self)

    def to_pandas(self, batch_size: int | None = None, batched: bool = False) -> Any:
        """All rows as a pandas DataFrame; with `batched` one per `batch_size` rows."""
        from madang.datasets import output

        return output.to_pandas(self, batch_size, batched)

    def to_polars(self, batch_size: int | None = None, batched: bool = False, **options: Any) -> Any:
        """All rows as a polars DataFrame; with `batched` one per `batch_size` rows."""
        from madang.datasets import output

        return output.to_polars(self, batch_size, batched, **options)

    def to_csv(self, path_or_buf: Any, batch_size: int | None = None, **options: Any) -> int:
        """Write a CSV file and return its size in bytes; options are those of `madang.datasets.output.to_csv`."""
        from madang.datasets import output

        return output.to_csv(self, path_or_buf, batch_size=batch_size, **options)

    def to_json(self, path_or_buf: Any, batch_size: int | None = None, **options: Any) -> int:
        """Write one JSON object per line (`lines=False`: one list) and return the size in bytes."""
        from madang.datasets import output

        return output.to_json(self, path_or_buf, batch_size=batch_size, **options)

    def to_parquet(self, path_or_buf: Any, batch_size: int | None = None, **options: Any) -> int:
        """Write a Parquet file, features included, and return its size in bytes."""
        from madang.datasets import output

        return output.to_parquet(self, path_or_buf, batch_size=batch_size, **options)

    def to_sql(self, name: str, con: Any, batch_size: int | None = None, **options: Any) -> int:
        """Write the table `name` of a database and return the number of rows; `con` as for `from_sql`."""
        from madang.datasets import output

        return output.to_sql(self, name, con, batch_size=batch_size, **options)

    def _estimate_nbytes(self) -> int:
        """How large the rows are, roughly: what decides on the number of files."""
        from madang.datasets.shards import bytes_of

        return bytes_of(self)

    def save_to_disk(
        self,
        dataset_path: str | os.PathLike[str],
        max_shard_size: str | int | None = None,
        num_shards: int | None = None,
        num_proc: int | None = None,
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        """Save rows, features and format to a folder, which `load_from_disk` opens without reading it."""
        from madang.datasets import disk

        disk.save(
            cast("Dataset", self),
            dataset_path,
            max_shard_size=max_shard_size,
            num_shards=num_shards,
            num_proc=num_proc,
            storage_options=storage_options,
        )

    @staticmethod
    def load_from_disk(dataset_path: str | os.PathLike[str], keep_in_memory: bool | None = None, **options: Any) -> Any:
        """The dataset that `save_to_disk` saved."""
        from madang.datasets import disk

        return disk.load_one_from_disk(dataset_path, keep_in_memory=keep_in_memory, **options)

    def push_to_hub(self, repo_id: str, config_name: str = "default", **options: Any) -> Any:
        """Put the rows as Parquet files, and a card, into a dataset repository on a hub.

        Options are those of `madang.datasets.share.push_dataset`: `split`, `private`, `token`, `revision`,
        `max_shard_size`, `num_shards`, `commit_message`, `create_pr`, … What is already there is not sent again.
        """
        from madang.datasets import share

        return share.push_dataset(self, repo_id, config_name=config_name, **options)

    def to_iterable_dataset(self, num_shards: int = 1) -> "IterableDataset":
        """The same rows as a stream in `num_shards` parts, coming out in the same format."""
        from madang.datasets.stream import IterableDataset

        stream = IterableDataset._held(cast("Dataset", self), num_shards)
        look = self._format
        if look.columns is not None:
            stream = stream.select_columns(list(look.columns))
        return stream if look.kind is None else stream.with_format(look.kind, **look.options)
