"""The same verbs with either package: madang.datasets in the tests, datasets in the reference interpreter.

python datasets_verbs_observed.py folder      the reference package does everything and tells it in seen.json
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

ROWS = 60


def table():
    """Random columns of many kinds, some with empty cells."""
    random = np.random.default_rng(11)

    def some(values, share=0.2):
        return [None if random.random() < share else value for value in values]

    words = ["goal", "rates", "경제", "", "봄"]
    return {
        "i": list(range(ROWS)),
        "n": some(random.integers(-5, 5, ROWS).tolist()),
        "x": some((random.integers(-8, 8, ROWS) / 4).tolist()),
        "t": some(random.choice(words, ROWS).tolist()),
        "y": random.choice(["c", "a", "b"], ROWS).tolist(),
        "yes": random.choice([True, False], ROWS).tolist(),
        "ids": [random.integers(0, 9, random.integers(0, 4)).tolist() for _ in range(ROWS)],
        "pair": random.integers(0, 9, (ROWS, 2)).tolist(),
        "s": [{"a": int(a), "b": {"c": str(a)}} for a in random.integers(0, 9, ROWS)],
    }


def steps(p):
    """Name -> what makes a dataset of package `p` (or anything that JSON takes)."""
    data = p.Dataset.from_dict(table())
    small = data.select_columns(["i", "n", "t"])
    parts = [small.select(range(4)), small.select([30, 20]), small.select(range(50, 59))]
    encoded = data.class_encode_column("y")

    def split(**options):
        made = encoded.train_test_split(**options)
        return {name: made[name]["i"][:] for name in made}

    def turns(strategy, probabilities=None):
        return p.interleave_datasets(parts, probabilities=probabilities, seed=5, stopping_strategy=strategy)

    def shown(kind, **options):
        return {
            name: kind_of(value) for name, value in data.remove_columns("s").with_format(kind, **options)[:5].items()
        }

    return {
        "as it is": lambda: data,
        "printed": lambda: [repr(data), repr(data["n"]), repr(data.features["y"]), repr(encoded.features["y"])],
        "row": lambda: [data[3], data[-1], data[2:4], data[[5, 1]], data["s"]["a"][:4]],
        "select": lambda: data.select([9, 3, 3, 20]).select([2, 0]),
        "select range": lambda: data.select(range(10, 14)),
        "sort": lambda: data.sort("n"),
        "sort backwards": lambda: data.sort("n", reverse=True),
        "sort nulls first": lambda: data.sort("x", null_placement="at_start"),
        "sort by two": lambda: data.sort(["t", "n"], reverse=[False, True]),
        "sort texts backwards": lambda: data.sort("t", reverse=True),
        "shuffle": lambda: data.shuffle(seed=3),
        "shuffle twice": lambda: data.shuffle(seed=3).shuffle(seed=4),
        "shuffle by state": lambda: (np.random.seed(5), data.shuffle()["i"][:], data.shuffle()["i"][:])[1:],
        "shard": lambda: [data.shard(7, i)["i"][:] for i in range(7)],
        "shard apart": lambda: [data.shard(7, i, contiguous=False)["i"][:] for i in range(7)],
        "take skip repeat": lambda: small.skip(50).take(3).repeat(2),
        "unique": lambda: [data.unique("t"), data.unique("n"), data.unique("y")],
        "filter": lambda: data.filter(lambda row: row["n"] is not None and row["n"] > 0),
        "filter compares": lambda: data.filter(lambda row: row["y"] == "a"),
        "filter truth": lambda: data.filter(lambda row: row["ids"]),
        "filter batches": lambda: data.filter(lambda b: [x is None for x in b["x"]], batched=True, batch_size=7),
        "filter column": lambda: data.filter(lambda yes, i: yes and i % 2, input_columns="yes", with_indices=True),
        "split": lambda: split(test_size=0.3, seed=8),
        "split sizes": lambda: split(test_size=7, train_size=0.5, seed=8),
        "split in order": lambda: split(test_size=7, shuffle=False),
        "split stratified": lambda: split(test_size=0.25, seed=8, stratify_by_column="y"),
        "split stratified sizes": lambda: [
            split(test_size=test, train_size=train, seed=test + train, stratify_by_column="y")
            for test in range(3, 30, 4)
            for train in range(3, 30, 5)
        ],
        "rename": lambda: data.rename_columns({"n": "m", "t": "text"}).rename_column("m", "n2"),
        "remove": lambda: data.remove_columns(["x", "s"]),
        "add column": lambda: data.add_column("new", [i / 2 for i in range(ROWS)]),
        "add item": lambda: small.add_item({"i": 99, "n": None, "t": "끝"}),
        "cast": lambda: small.cast(
            p.Features({"i": p.Value("int8"), "n": p.Value("float32"), "t": p.Value("large_string")})
        ),
        "cast column": lambda: data.cast_column("y", p.ClassLabel(names=["b", "a", "c"])),
        "cast to text": lambda: data.cast_column("i", p.Value("string")).select_columns("i"),
        "class encode": lambda: encoded,
        "class encode numbers": lambda: data.class_encode_column("i").select_columns("i"),
        "class encode nulls": lambda: data.class_encode_column("t", include_nulls=True).select_columns("t"),
        "class encode with nulls": lambda: data.class_encode_column("t").select_columns("t"),
        "align labels": lambda: encoded.align_labels_with_mapping({"C": 0, "A": 1, "B": 2}, "y").select_columns("y"),
        "flatten": lambda: data.flatten(),
        "flatten chosen": lambda: data.select([4, 2]).flatten(),
        "batch": lambda: data.batch(16),
        "batch drop": lambda: small.batch(16, drop_last_batch=True),
        "batch by column": lambda: small.map(lambda row: {"k": row["i"] // 7}).batch(by_column="k"),
        "concatenate": lambda: p.concatenate_datasets([small.take(3), data.select([9]).select_columns(["i", "x"])]),
        "concatenate beside": lambda: p.concatenate_datasets([small, data.select_columns(["x", "yes"])], axis=1),
        "interleave": lambda: turns("first_exhausted"),
        "interleave all": lambda: turns("all_exhausted"),
        "interleave once": lambda: turns("all_exhausted_without_replacement"),
        "interleave drawn": lambda: turns("first_exhausted", [0.5, 0.2, 0.3]),
        "interleave drawn all": lambda: turns("all_exhausted", [0.5, 0.2, 0.3]),
        "interleave drawn once": lambda: turns("all_exhausted_without_replacement", [0.5, 0.2, 0.3]),
        **mapped(data, small),
        **{
            f"shown as {kind} {' '.join(map(str, options.values()))}": lambda kind=kind, options=options: shown(
                kind, columns=["i", "yes", "ids", "pair", "y"], **options
            )
            for kind, options in (("numpy", {}), ("numpy", {"dtype": "int16"}), ("torch", {}), ("pandas", {}))
            if options == {} or kind == "numpy"
        },
        "shown some": lambda: sorted(data.with_format("numpy", columns=["i"])[:3]),
        "shown others": lambda: [
            (name, type(value).__name__)
            for name, value in sorted(data.with_format("numpy", columns=["i"], output_all_columns=True)[0].items())
        ],
        "format": lambda: data.with_format("torch", columns=["i", "n"]).rename_column("n", "m").format,
        "new columns join": lambda: (
            small.with_format("numpy", columns=["i"]).map(lambda row: {"k": 1}).format["columns"]
        ),
    }


def mapped(data, small):
    """The rules of `map`."""

    def write(row):
        row["n"] = 0
        del row["t"]
        return row

    return {
        "map adds": lambda: data.map(lambda row: {"length": len(row["y"]), "i": row["i"] + 1}),
        "map keeps ints": lambda: small.map(lambda row: {"i": row["i"] > 5}),
        "map to floats": lambda: small.map(lambda row: {"i": row["i"] + 0.5}),
        "map whole floats": lambda: small.map(lambda row: {"i": row["i"] * 2.0}),
        "map number texts": lambda: small.map(lambda row: {"i": str(row["i"])}),
        "map other texts": lambda: small.map(lambda row: {"i": f"n{row['i']}"}),
        "map to nothing": lambda: small.map(lambda row: {"i": None}),
        "map new types": lambda: small.map(lambda row: {"b": row["i"] > 3, "l": [row["i"]] * 2, "d": {"k": row["t"]}}),
        "map nulls": lambda: small.map(lambda row: {"z": None, "o": row["i"] if row["i"] > 40 else None}),
        "map empty lists first": lambda: small.map(lambda row: {"l": [1.5] if row["i"] > 40 else []}),
        "map tokens": lambda: small.map(lambda row: {"input_ids": [row["i"], 1], "attention_mask": [1, 1]}),
        "map returns None": lambda: small.map(lambda row: None),
        "map None and remove": lambda: small.map(lambda row: None, remove_columns="t"),
        "map removes": lambda: small.map(lambda row: {"t": row["t"], "k": 1}, remove_columns=["i", "t"]),
        "map order": lambda: small.map(lambda row: {"z": 1, "n": 2, "a": 3}),
        "map indices": lambda: small.map(lambda row, i: {"k": i}, with_indices=True),
        "map columns": lambda: small.map(lambda t, i: {"k": f"{t}{i}"}, input_columns=["t", "i"]),
        "map writes": lambda: small.map(write),
        "map batches": lambda: small.map(lambda b: {"k": [len(b["i"])] * len(b["i"])}, batched=True, batch_size=25),
        "map more rows": lambda: small.map(
            lambda b: {"k": [i for i in b["i"] for _ in range(i % 3)]}, batched=True, remove_columns=small.column_names
        ),
        "map drops last": lambda: small.map(
            lambda b: {"k": b["i"]}, batched=True, batch_size=25, drop_last_batch=True, remove_columns=["n"]
        ),
        "map arrays": lambda: small.map(
            lambda b: {"m": np.ones((len(b["i"]), 2), np.float32), "k": np.array(b["i"], np.int16)}, batched=True
        ),
        "map numpy": lambda: small.with_format("numpy", columns=["i"]).map(lambda row: {"k": row["i"] * 2}),
        "map pandas": lambda: small.with_format("pandas").map(lambda df: df.assign(k=df["i"] * 2), batched=True),
        "map mixed": lambda: small.map(lambda row: {"k": "x" if row["i"] % 2 else 1}),
        "map keywords": lambda: small.map(lambda row, by: {"k": row["i"] * by}, fn_kwargs={"by": 3}),
        "map of chosen": lambda: small.shuffle(seed=1).select(range(5)).map(lambda row: {"k": row["i"]}),
        "map of none": lambda: small.select([]).map(lambda row: {"k": 1}),
    }


def kind_of(value):
    """Type, element type, shape and content of what a format gives."""
    told = [type(value).__name__, str(getattr(value, "dtype", None)), list(getattr(value, "shape", ()))]
    inside = value[0] if len(value) else None
    told += [type(inside).__name__, str(getattr(inside, "dtype", None))]
    return [*told, [each.tolist() if hasattr(each, "tolist") else each for each in value]]


def told(made):
    """A dataset as columns, types and rows; anything else as it is."""
    if type(made).__name__ != "Dataset":
        return made
    made = made.with_format(None)
    return {"columns": made.column_names, "features": made.features.to_dict(), "rows": made.to_dict()}


def seen(package):
    """What each step makes; an error by its first built-in type."""
    answers = {}
    for name, step in steps(package).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                answers[name] = told(step())
            except Exception as error:
                answers[name] = {"error": f"{type(error).__name__}: {error}"}
    return json.loads(json.dumps(answers, default=str))


if __name__ == "__main__":
    import datasets

    datasets.disable_progress_bars()
    (Path(sys.argv[1]) / "seen.json").write_text(json.dumps(seen(datasets)), encoding="utf-8")
