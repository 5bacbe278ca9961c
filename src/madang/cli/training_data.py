"""The rows that `madang train` learns from and those it is measured on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from madang.cli.training_file import TrainingFile
from madang.errors import InputError, UnknownKeyError

# how people call the rows that are kept apart to look at while a model learns
VALIDATION = ("validation", "valid", "dev", "val")
HELD_OUT = 0.1


@dataclass
class Rows:
    """Three parts, the second and third perhaps missing, and in `said` what was decided about them."""

    train: Any
    validation: Any = None
    test: Any = None
    said: list[str] = field(default_factory=list)

    def parts(self) -> dict[str, Any]:
        """Those that are there, by name."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in found.items() if part is not None}

    def change(self, function: Any) -> None:
        """Every part becomes what `function` makes of it."""
        for name, part in self.parts().items():
            setattr(self, name, function(part))


def read_rows(file: TrainingFile, *, seed: int, validation: bool, test: bool) -> Rows:
    """What the section `data` names. Without `validation` no rows are kept apart; with `test` a split called test is
    taken although the file does not name one."""
    data = file.section("data")
    splits = _splits(data)
    rows = Rows(_train(file, data, splits))
    limit, held = data.get("limit"), data.get("validation")
    rows.train = _limited(rows.train, limit, seed)
    if limit is not None:
        rows.said.append(f"limit: at most {limit:,} rows of each part, drawn at random")
    if validation and held is not False and held != 0:
        _hold_out(file, rows, splits, held, seed)
    named = data.get("test", "test" if test else None)
    if named is not None:
        rows.test = _named(file, "data.test", data, splits, str(named))
    for name in ("validation", "test"):
        part = getattr(rows, name)
        setattr(rows, name, None if part is None else _limited(part, limit, seed))
    for name, part in rows.parts().items():
        if len(part) == 0:
            raise InputError(f"{data['path']} has no rows for {name}.")
    return rows


def _splits(data: Mapping[str, Any]) -> dict[str, Any]:
    """All splits by name."""
    from madang.datasets import load_dataset, load_from_disk

    path = Path(data["path"]).expanduser()
    if path.is_dir() and any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
        found: Any = load_from_disk(path)
    else:
        options = {name: data[name] for name in ("name", "data_files", "data_dir", "revision") if data.get(name)}
        found = load_dataset(data["path"], **options, **(data.get("options") or {}))
    return {str(name): part for name, part in found.items()} if isinstance(found, Mapping) else {"train": found}


def _train(file: TrainingFile, data: Mapping[str, Any], splits: dict[str, Any]) -> Any:
    if data.get("split") is not None:
        return _named(file, "data.split", data, splits, str(data["split"]))
    if "train" in splits:
        return splits["train"]
    if len(splits) == 1:
        return next(iter(splits.values()))
    raise file.wrong("data.split", f"must say which rows to learn from: there are the splits {', '.join(splits)}.")


def _named(file: TrainingFile, key: str, data: Mapping[str, Any], splits: dict[str, Any], name: str) -> Any:
    """A split, a slice of one (train[:10%]), or a file of its own."""
    from madang.datasets import load_dataset

    if name in splits:
        return splits[name]
    if Path(name).expanduser().is_file():
        formats = {"data_files": name} if not Path(data["path"]).suffix and data.get("data_files") else {}
        path = data["path"] if formats else name
        return load_dataset(path, **formats, split="train", **(data.get("options") or {}))
    if "[" in name or "+" in name:
        options = {key: data[key] for key in ("name", "data_files", "data_dir", "revision") if data.get(key)}
        return load_dataset(data["path"], split=name, **options, **(data.get("options") or {}))
    raise UnknownKeyError(
        f"{file.where(key)}: {key} is {name!r}, which is neither a file nor one of the splits: {', '.join(splits)}."
    )


def _hold_out(file: TrainingFile, rows: Rows, splits: dict[str, Any], held: Any, seed: int) -> None:
    """Fill in `rows.validation`, and take from `rows.train` what is kept apart."""
    data = file.section("data")
    if isinstance(held, str):
        rows.validation = _named(file, "data.validation", data, splits, held)
        return
    ready = next((name for name in VALIDATION if name in splits and splits[name] is not rows.train), None)
    if held is None and ready is not None:
        rows.validation = splits[ready]
        rows.said.append(f"validation: the split {ready}")
        return
    size = HELD_OUT if held is None else held
    if size == 1 or size >= len(rows.train):
        raise file.wrong("data.validation", f"leaves nothing to learn from: there are {len(rows.train):,} rows.")
    if len(rows.train) < 2:
        raise InputError(
            f"{data['path']} has {len(rows.train)} row; some to learn from and some to look at are needed."
        )
    count = int(size) if size > 1 else max(1, round(size * len(rows.train)))
    both = rows.train.train_test_split(test_size=count, shuffle=True, seed=seed)
    rows.train, rows.validation = both["train"], both["test"]
    if held is None:
        rows.said.append(f"validation: {HELD_OUT:.0%} of the rows, drawn at random")


def _limited(part: Any, limit: int | None, seed: int) -> Any:
    if limit is None or len(part) <= limit:
        return part
    return part.shuffle(seed=seed).select(range(limit))
