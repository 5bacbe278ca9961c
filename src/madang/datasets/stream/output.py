"""A stream as something else: lists, tables, files, a repository on a hub."""

from typing import Any

from madang.datasets.stream.verbs import Verbs


class Output(Verbs):
    """The ways out. All rows are read; files are written as they come, so they may be larger than memory."""

    def to_dict(self, batch_size: int | None = None, batched: bool = False) -> Any:
        """All columns as lists; with `batched` such a dict per `batch_size` rows, as they are read."""
        plain = self.with_format(None)
        if batched:
            return plain.iter(batch_size or 1000)
        columns: dict[str, list[Any]] = {name: [] for name in self._features or ()}
        count = 0
        for batch in plain.iter(1000):
            for name in batch:
                columns.setdefault(name, [None] * count)
            size = len(next(iter(batch.values()), []))
            for name, values in columns.items():
                values.extend(batch.get(name, [None] * size))
            count += size
        return columns

    def to_list(self) -> list[Any]:
        """All rows as dicts."""
        return list(self.with_format(None))

    def to_pandas(self, batch_size: int | None = None, batched: bool = False) -> Any:
        """All rows as a pandas DataFrame; with `batched` one per `batch_size` rows."""
        from madang.datasets import output

        return output.to_pandas(self._resolve_features(), batch_size, batched)

    def to_polars(
        self,
        batch_size: int | None = None,
        batched: bool = False,
        schema_overrides: dict[str, Any] | None = None,
        rechunk: bool = True,
    ) -> Any:
        """All rows as a polars DataFrame; with `batched` one per `batch_size` rows."""
        from madang.datasets import output

        known = self._resolve_features()
        return output.to_polars(known, batch_size, batched, schema_overrides=schema_overrides, rechunk=rechunk)

    def to_csv(self, path_or_buf: Any, batch_size: int | None = None, **options: Any) -> int:
        """Write a CSV file and return its size in bytes; options are those of `Dataset.to_csv`."""
        from madang.datasets import output

        return output.to_csv(self._resolve_features(), path_or_buf, batch_size=batch_size, **options)

    def to_json(self, path_or_buf: Any, batch_size: int | None = None, **options: Any) -> int:
        """Write one JSON object per line (`lines=False`: one list) and return the size in bytes."""
        from madang.datasets import output

        return output.to_json(self._resolve_features(), path_or_buf, batch_size=batch_size, **options)

    def to_parquet(self, path_or_buf: Any, batch_size: int | None = None, **options: Any) -> int:
        """Write a Parquet file, features included, and return its size in bytes."""
        from madang.datasets import output

        return output.to_parquet(self._resolve_features(), path_or_buf, batch_size=batch_size, **options)

    def to_sql(self, name: str, con: Any, batch_size: int | None = None, **options: Any) -> int:
        """Write the table `name` of a database and return the number of rows."""
        from madang.datasets import output

        return output.to_sql(self._resolve_features(), name, con, batch_size=batch_size, **options)

    def push_to_hub(self, repo_id: str, config_name: str = "default", **options: Any) -> Any:
        """Put the rows as Parquet files, and a card, into a dataset repository on a hub.

        Options are those of `madang.datasets.share.push_dataset`: `split`, `private`, `token`, `num_shards`, …
        """
        from madang.datasets import share

        return share.push_dataset(self, repo_id, config_name=config_name, **options)
