"""The same features and rows with either package: madang.datasets in the tests, datasets in the reference interpreter.

python datasets_features_observed.py write folder      the reference package writes table.arrow and table.parquet
python datasets_features_observed.py read folder       it reads ours and tells what it sees, in seen.json
"""

import json
import sys
from pathlib import Path

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


def features(package):
    """A column of every kind."""
    value, label = package.Value, package.ClassLabel(names=["아니오", "예"])
    return package.Features(
        {
            "text": value("string"),
            "named": value("int8", id="x"),
            "when": value("timestamp[us, tz=Asia/Seoul]"),
            "price": value("decimal128(10, 2)"),
            "label": label,
            "list": package.List(value("int32")),
            "box": package.List(value("float32"), length=2),
            "large": package.LargeList(label),
            "person": {"age": value("int8"), "names": [value("string")]},
            "answers": package.Sequence({"text": value("string"), "at": value("int64")}),
            "pixels": package.Array2D(shape=(2, 3), dtype="uint8"),
            "clip": package.Array3D(shape=(None, 1, 2), dtype="float32"),
            "clips": [package.Array2D(shape=(1, 2), dtype="int64")],
            "both": package.Translation(languages=["en", "ko"]),
            "some": package.TranslationVariableLanguages(languages=["en", "ko"]),
            "image": package.Image(mode="RGB"),
            "sound": package.Audio(sampling_rate=16000, decode=False),
            "any": package.Json(),
            "anys": package.List(package.Json()),
        }
    )


# as they are stored; the second row is empty
ROWS = [
    {
        "text": "가나",
        "named": 5,
        "when": 1_600_000_000_000_000,
        "price": "1.50",
        "label": 1,
        "list": [1, None, 3],
        "box": [0.5, 1.5],
        "large": [0, 1, -1],
        "person": {"age": 7, "names": ["a"]},
        "answers": {"text": ["x", "y"], "at": [1, 2]},
        "pixels": [[1, 2, 3], [4, 5, 6]],
        "clip": [[[0.5, 1.0]], [[1.5, 2.0]]],
        "clips": [[[1, 2]], [[3, 4]]],
        "both": {"en": "cat", "ko": "고양이"},
        "some": {"language": ["en", "en"], "translation": ["a", "b"]},
        "image": {"bytes": PNG, "path": "a.png"},
        "sound": {"bytes": b"RIFF", "path": None},
        "any": '{"a":[1,"둘"]}',
        "anys": ["[1]", None],
    },
    {},
]


def table(made):
    """The rows as an Arrow table of these features."""
    import decimal

    import pyarrow as pa

    columns = []
    for column in made.arrow_schema:
        values = [row.get(column.name) for row in ROWS]
        if column.name == "price":
            values = [None if value is None else decimal.Decimal(value) for value in values]
        columns.append(pa.array(values, stored(column.type)).cast(column.type))
    return pa.table(columns, schema=made.arrow_schema)


def stored(kind):
    """A type without the marks of arrays and JSON: what pa.array can make."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    if pa.types.is_list(kind):
        return pa.list_(stored(kind.value_type))
    return kind


def write(made, folder):
    """The table as an Arrow stream and as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = table(made)
    with pa.OSFile(str(folder / "table.arrow"), "wb") as file, pa.ipc.new_stream(file, whole.schema) as writer:
        writer.write_table(whole)
    pq.write_table(whole, folder / "table.parquet")


def rows(arrow_table):
    """The stored values of a table by column, in JSON's words."""
    columns = {}
    for name in arrow_table.column_names:
        chunks = arrow_table.column(name).chunks
        # not through the class of the datasets package, which cannot list an empty cell
        columns[name] = [value for chunk in chunks for value in getattr(chunk, "storage", chunk).to_pylist()]
    return json.loads(json.dumps(columns, default=repr))


def _read(folder):
    import datasets

    seen = {}
    for name, load in (("arrow", datasets.Dataset.from_file), ("parquet", datasets.Dataset.from_parquet)):
        options = {"cache_dir": str(folder / "cache")} if name == "parquet" else {}
        dataset = load(str(folder / f"table.{name}"), **options)
        first = dataset[0]
        seen[name] = {
            "features": dataset.features.to_dict(),
            "yaml": dataset.features._to_yaml_list(),
            "rows": rows(dataset.data.table),
            "image": [first["image"].mode, first["image"].size],
            "any": first["any"],
            "pixels": dataset.with_format("numpy")[0]["pixels"].tolist(),
        }
    return seen


if __name__ == "__main__":
    import datasets

    target = Path(sys.argv[2])
    if sys.argv[1] == "write":
        write(features(datasets), target)
        written = features(datasets)
        seen = {"yaml": written._to_yaml_list(), "rows": rows(table(written)), "features": written.to_dict()}
    else:
        seen = _read(target)
    (target / "seen.json").write_text(json.dumps(seen), encoding="utf-8")
