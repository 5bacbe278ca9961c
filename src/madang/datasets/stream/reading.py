"""Looking at a stream, reading its rows, saving where it stands."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from madang.datasets.features import Features
from madang.datasets.formats import Format
from madang.datasets.frame import ROWS_AT_ONCE, unknown_columns
from madang.datasets.stream.block import Block, joined
from madang.datasets.stream.columns import Only, Typed, as_features
from madang.datasets.stream.look import Look, features_of
from madang.datasets.stream.pace import Pace
from madang.datasets.stream.rows import Take
from madang.datasets.stream.seeds import seeds_of, with_seeds
from madang.datasets.stream.stage import Run, Stage, State, exactly, within
from madang.datasets.stream.workers import Epoch, known_to_torch, say_idle, worker
from madang.errors import InputError, WrongTypeError

if TYPE_CHECKING:
    from madang.datasets.info import DatasetInfo

FIRST_ROWS = 5  # looked at to find out what the columns of a stream hold
ROWS_IN_SEARCH_OF_TYPES = 1000  # looked at when a column is empty in those

INFO = (
    "builder_name", "citation", "config_name", "dataset_size", "description", "download_checksums", "download_size",
    "homepage", "license", "size_in_bytes", "supervised_keys", "version",
)  # fmt: skip


class Reading:
    """What every stream can be asked; how it is kept."""

    def __init__(
        self,
        stage: Stage,
        info: "DatasetInfo | None" = None,
        split: Any = None,
        *,
        features: Features | None = None,
        format: Format | None = None,  # noqa: A002
        threads: int = 0,
    ) -> None:
        self._stage, self._features, self._info, self.split = stage, features, info, split
        self._format = format or Format()
        self._threads = threads  # that decode images and sounds
        self._shared_epoch = Epoch()
        self._resume: State | None = None
        self._position: _Position | None = None
        known_to_torch(type(self))

    @property  # type: ignore[misc]
    def __class__(self) -> type[Self]:
        # isinstance asks for this: see workers.py
        known_to_torch(type(self))
        return type(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_position": None, "_resume": self._resume}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        known_to_torch(type(self))

    # ---- looking

    @property
    def features(self) -> Features | None:
        """What each column holds; None when nobody has said, as after `map`."""
        return self._features

    @property
    def column_names(self) -> list[str] | None:
        """Names of the columns, in order; None when they are not known."""
        return None if self._features is None else list(self._features)

    @property
    def num_columns(self) -> int | None:
        """How many columns there are; None when that is not known."""
        return None if self._features is None else len(self._features)

    @property
    def info(self) -> "DatasetInfo":
        """What is known of the dataset beside its rows: description, licence, features, …"""
        from madang.datasets.info import DatasetInfo

        if self._info is None or self._info.features != self._features:
            # a copy: whoever gave it may have given it to other splits as well
            self._info = DatasetInfo() if self._info is None else self._info.copy()
            self._info.features = self._features
        return self._info

    @property
    def num_shards(self) -> int:
        """Into how many parts the data can be split: at most that many workers have something to do."""
        return self._stage.num_shards

    n_shards = num_shards

    @property
    def epoch(self) -> int:
        """Which pass over the data this is, as `set_epoch` said."""
        return self._shared_epoch.value

    @property
    def _epoch(self) -> int:
        return self._shared_epoch.value

    def set_epoch(self, epoch: int) -> None:
        """Say which pass over the data comes next: what is shuffled comes in another order in each."""
        self._shared_epoch.value = int(epoch)

    def __repr__(self) -> str:
        features = "Unknown" if self._features is None else list(self._features)
        return f"IterableDataset({{\n    features: {features},\n    num_shards: {self.num_shards}\n}})"

    # ---- reading

    def __iter__(self) -> Iterator[Any]:
        position = self._started()
        if position is None:
            return
        look = Look(self._format, self._stage.known)
        if self._threads:
            yield from self._threaded(position, look)
            return
        pace = Pace()
        while True:
            pace.begin()
            block = position.run.read(pace.rows)
            if block is None:
                return
            position.unread = block.count
            rows = look.rows(block)
            pace.end(block)
            for row in rows:
                position.unread -= 1
                yield row

    def iter(self, batch_size: int, drop_last_batch: bool = False) -> Iterator[Any]:
        """Batches of rows, each a dict of columns (or a table, by the format)."""
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size} must be 1 or more.")
        position = self._started()
        if position is None:
            return
        look = Look(self._format, self._stage.known)
        while (block := exactly(position.run, batch_size)) is not None:
            if block.count == batch_size or not drop_last_batch:
                yield look.batch(block)

    def arrow_batches(self, batch_size: int | None = None) -> Iterator[pa.Table]:
        """The rows in order as Arrow tables of `batch_size` rows, whose schema carries the features."""
        dataset = self._resolve_features()
        assert dataset._features is not None
        run = dataset._prepared(0, 1).start(None)
        schema, known = dataset._features.arrow_schema, dataset._stage.known
        while (block := exactly(run, batch_size or ROWS_AT_ONCE)) is not None:
            arrays = as_features(block, dataset._features, known).arrays
            yield pa.table([arrays[name] for name in schema.names], schema=schema)

    def __getitem__(self, column_name: Any) -> "IterableColumn":
        """One column by name, to be iterated; a stream has no rows by number."""
        if not isinstance(column_name, str):
            raise WrongTypeError(
                f"a stream has no row {column_name!r}: its rows come in order. Iterate it, look at the first with "
                "next(iter(dataset)), pass over some with skip(n), or load it without streaming=True. "
                'dataset["column"] iterates over a column.'
            )
        if self._features is not None and column_name not in self._features:
            raise unknown_columns([column_name], self._features)
        return IterableColumn(self, (column_name,))

    def head(self, n: int = 5) -> Any:
        """The first `n` rows as a dict of columns."""
        return next(iter(self._limited(n).iter(n)), {})

    _head = head

    def _limited(self, n: int) -> Self:
        return self._with(Take(self._stage, n))

    def _threaded(self, position: "_Position", look: Look) -> Iterator[Any]:
        """Rows that several threads decode; they come in order all the same."""
        rows_at_once = self._threads
        with ThreadPoolExecutor(self._threads) as pool:
            while (block := position.run.read(rows_at_once, rows_at_once)) is not None:
                position.unread = block.count
                singles = [block.slice(at, at + 1) for at in range(block.count)]
                waiting = [pool.submit(look.rows, single) for single in singles]
                try:
                    for row in waiting:
                        made = row.result()
                        position.unread -= 1
                        yield made[0]
                finally:
                    for row in waiting:
                        row.cancel()
                rows_at_once = 4 * self._threads

    # ---- where it stands

    def state_dict(self) -> dict[str, Any]:
        """Where reading stands, as plain numbers, lists and dicts that JSON and pickle can hold.

        `load_state_dict` goes on from there: the rows that were not read yet come, each of them once, in the order in
        which they would have come. In a DataLoader worker it is the state of this worker's share.
        """
        position = self._position
        if position is not None:
            return {"epoch": position.epoch, "seeds": position.seeds, "stream": position.state()}
        if self._resume is not None:
            return self._resume
        stage = self._prepared(*worker())
        return {"epoch": self.epoch, "seeds": seeds_of(self._stage), "stream": stage.start(None).state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` gave: each iteration begins there, until `set_epoch` begins another one.

        The dataset must be made by the same verbs from the same data, and read by as many workers and nodes.
        """
        within(state_dict, "stream", "dataset")
        self._resume, self._position = dict(state_dict), None
        self._stage = with_seeds(self._stage, state_dict.get("seeds", []))

    def _started(self) -> "_Position | None":
        """A run of this process's share, from where a loaded state says; None for a worker that has nothing to do."""
        number, workers = worker()
        if workers > 1 and self.num_shards < workers:
            if number == 0:
                say_idle(self.num_shards, workers)
            if number >= self.num_shards:
                return None
        resume, epoch = self._resume, self.epoch
        state = resume["stream"] if resume is not None and resume.get("epoch", 0) == epoch else None
        run = self._prepared(number, workers).start(state)
        self._position = _Position(run, epoch, seeds_of(self._stage))
        return self._position

    def _prepared(self, number: int, workers: int) -> Stage:
        stage = self._stage.at_epoch(self.epoch)
        return stage.part(number, workers) if workers > 1 else stage

    # ---- making others

    def _with(self, stage: Stage, features: Features | None = None, **changes: Any) -> Self:
        """The dataset with other stages; its features are not known unless given."""
        settings = {"format": self._format, "threads": self._threads, **changes}
        info = None if self._info is None else self._info.copy()
        made: Self = type(self)(stage, info, self.split, features=features, **settings)
        return made

    def _resolve_features(self) -> Self:
        """The same dataset with its features known: from its first rows, when nobody has said."""
        if self._features is not None:
            return self
        features = self._found_features()
        return self._with(Typed(self._stage, features, guessed=True), features)

    def _found_features(self) -> Features:
        """What the columns hold, as the first rows tell; more rows are read when a column is empty in these."""
        run, blocks, count = self._prepared(0, 1).start(None), list[Block](), 0
        features, known = Features(), self._stage.known
        while count < ROWS_IN_SEARCH_OF_TYPES and (block := exactly(run, FIRST_ROWS if not count else 100)):
            blocks.append(block)
            count += block.count
            features = features_of(joined(blocks), known)
            if not any(pa.types.is_null(kind) for kind in features.arrow_schema.types):
                break
        return features


class _Position:
    """Where an iteration stands."""

    __slots__ = ("epoch", "run", "seeds", "unread")

    def __init__(self, run: Run, epoch: int, seeds: list[int]) -> None:
        self.run, self.epoch, self.seeds, self.unread = run, epoch, seeds, 0

    def state(self) -> State:
        return self.run.state(self.unread)


class IterableColumn:
    """One column of a stream: iterating it gives its values; `column["inner"]` is a member of a struct."""

    def __init__(self, dataset: Reading, path: tuple[str, ...]) -> None:
        self._dataset, self._path = dataset, path

    def __iter__(self) -> Iterator[Any]:
        name, *members = self._path
        for row in self._dataset._with(Only(self._dataset._stage, (name,))):
            value = row[name]
            for member in members:
                value = value[member]
            yield value

    def __getitem__(self, name: Any) -> "IterableColumn":
        if not isinstance(name, str):
            raise WrongTypeError(
                f"a column of a stream has no entry {name!r}: its values come in order. Iterate it, or take the first "
                'ones with dataset.take(n)["column"].'
            )
        return IterableColumn(self._dataset, (*self._path, name))

    def __repr__(self) -> str:
        return f"IterableColumn({'.'.join(self._path)!r})"


def _info_property(name: str) -> property:
    return property(lambda self: getattr(self.info, name), doc=f"`{name}` of `info`.")


for _name in INFO:
    setattr(Reading, _name, _info_property(_name))
