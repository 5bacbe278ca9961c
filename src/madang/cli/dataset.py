"""`madang dataset`: look at a dataset, count what is in it, convert it, push it to a hub."""

import argparse
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from madang.cli.summary import summarise
from madang.cli.tables import cut, printable, table, terminal_width
from madang.datasets.sizes import readable
from madang.errors import InputError, unknown_name

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
WRITTEN = ("csv", "tsv", "json", "jsonl", "parquet", "arrow")

ABOUT = """SOURCE is one of
  a repository on a hub     klue/klue            (HF_ENDPOINT says which hub)
  a folder of data files    corpus/              (splits by their names: train.csv, test.csv, …)
  one data file             news.csv, news.jsonl.gz, news.parquet
  a folder saved before     by save_to_disk"""

EXAMPLES = {
    "show": "madang dataset show klue/klue --subset ynat\n  madang dataset show corpus/",
    "head": "madang dataset head news.csv\n  madang dataset head klue/klue --subset ynat --split validation -n 20\n"
    "  madang dataset head news.jsonl --json",
    "stats": "madang dataset stats news.csv\n  madang dataset stats klue/klue --subset ynat --split train --streaming",
    "convert": "madang dataset convert news.csv news.parquet\n  madang dataset convert klue/klue --subset ynat "
    "--split train ynat.jsonl.gz\n  madang dataset convert klue/klue --subset ynat ynat/ --to csv",
    "push": "madang dataset push news.csv alice/news\n  madang dataset push corpus/ alice/corpus --private "
    "--as-subset 2026",
}


def add_parser(subparsers: Any) -> None:
    """Add `madang dataset` to the commands."""
    parser = _parser(subparsers, "dataset", "look at datasets, convert and push them", ABOUT)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    show = _action(actions, "show", "its splits, sizes and types", _show)
    show.add_argument("--json", action="store_true", help="as JSON")

    head = _action(actions, "head", "its first rows as a table", _head)
    head.add_argument("-n", "--rows", type=_count, default=10, metavar="N", help="how many rows (10)")
    head.add_argument("--columns", nargs="+", metavar="NAME", help="only these columns")
    head.add_argument("--json", action="store_true", help="one JSON object per row, nothing cut")

    stats = _action(actions, "stats", "what each column holds: empty cells, range, mean, classes, lengths", _stats)
    stats.add_argument("--json", action="store_true", help="one JSON object per column")

    convert = _action(actions, "convert", "the same rows as files of another format", _convert)
    convert.add_argument("target", help="a file (its ending says the format), or a folder with a file per split")
    convert.add_argument("--to", choices=WRITTEN, help="the format, when the ending of TARGET does not say it")

    push = _action(actions, "push", "put it into a repository on a hub, as Parquet files with a card", _push)
    push.add_argument("repository", help="owner/name; it is made when it does not exist")
    push.add_argument("--as-subset", default="default", metavar="NAME", help="the subset it becomes there (default)")
    push.add_argument("--as-split", metavar="NAME", help="the split it becomes there, when it is one")
    push.add_argument("--private", action="store_true", default=None, help="when it is made, only you may see it")
    push.add_argument("--to-branch", metavar="NAME", help="another branch than main")
    push.add_argument("--create-pr", action="store_true", help="propose the change as a pull request")
    push.add_argument("--max-shard-size", metavar="SIZE", help="how large a file may become (500MB)")
    push.add_argument("--message", metavar="TEXT", help="what the commit says")
    push.add_argument("--num-proc", type=_count, metavar="N", help="files that are uploaded at a time")


def _parser(subparsers: Any, name: str, about: str, more: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.\n\n{more}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return made


def _action(actions: Any, name: str, about: str, run: Any) -> argparse.ArgumentParser:
    parser = _parser(actions, name, about, ABOUT)
    parser.epilog = f"examples:\n  {EXAMPLES[name]}"
    parser.set_defaults(run=run)
    parser.add_argument("source", help="what to read")
    reading = parser.add_argument_group("reading")
    reading.add_argument("--subset", metavar="NAME", help="the subset (configuration) of a repository")
    reading.add_argument("--split", metavar="SPLIT", help="train, test, …, also train[:10%%] or train+test")
    reading.add_argument("--data-files", nargs="+", metavar="FILE", help="only these files of it; patterns may be used")
    reading.add_argument("--data-dir", metavar="FOLDER", help="only this folder of it")
    reading.add_argument("--revision", metavar="NAME", help="a branch, tag or commit of a repository")
    reading.add_argument("--streaming", action="store_true", help="read rows as they come, keep nothing on disk")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


# reading --------------------------------------------------------------------------------------------------------------


def opened(arguments: argparse.Namespace, *, streaming: bool | None = None) -> Any:
    """What the arguments name: a Dataset or a stream when they name a split, else a dict of splits."""
    from madang.datasets import load_dataset, load_from_disk

    source, streams = arguments.source, arguments.streaming if streaming is None else streaming
    if _is_saved(source):
        return _of_saved(load_from_disk(Path(source).expanduser()), arguments.split)
    return load_dataset(source, split=arguments.split, streaming=streams, **_given(arguments))


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """What else was said of the source."""
    given = {
        "name": arguments.subset,
        "data_files": arguments.data_files,
        "data_dir": arguments.data_dir,
        "revision": arguments.revision,
    }
    return {name: value for name, value in given.items() if value is not None}


def _is_saved(source: str) -> bool:
    path = Path(source).expanduser()
    return path.is_dir() and any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _of_saved(saved: Any, split: str | None) -> Any:
    if split is None or str(getattr(saved, "split", None)) == split:
        return saved
    if not isinstance(saved, Mapping):
        raise InputError(
            f"this folder holds one dataset, of the split {str(saved.split)!r}: leave out --split {split}."
        )
    return saved[split]


def _splits(data: Any) -> dict[str, Any]:
    """Splits by name; one dataset is the split it says it is."""
    from madang.datasets.output import described

    if isinstance(data, Mapping):
        return {str(name): described(dataset) for name, dataset in data.items()}
    return {str(data.split) if getattr(data, "split", None) is not None else "": described(data)}


def _rows(dataset: Any) -> int | None:
    from madang.datasets.shards import is_stream

    return None if is_stream(dataset) else len(dataset)


# show -----------------------------------------------------------------------------------------------------------------


def _show(arguments: argparse.Namespace) -> None:
    info, splits = _known(arguments)
    if arguments.json:
        told: dict[str, Any] = {"splits": {name: rows for name, (rows, _) in splits.items()}}
        told["features"] = None if info.features is None else info.features.to_dict()
        print(json.dumps({**told, "description": info.description}, ensure_ascii=False))
        return
    width = terminal_width()
    if line := printable(" ".join((info.description or "").split())):
        print(cut(line, width))
    for label, value in (("homepage", info.homepage), ("license", info.license)):
        if value:
            print(cut(f"{label}: {printable(value)}", width))
    lines = [
        [name or "(all)", "?" if rows is None else f"{rows:,}", "?" if bytes_ is None else readable(bytes_)]
        for name, (rows, bytes_) in splits.items()
    ]
    print("\n".join(table(["split", "rows", "in memory"], lines, [False, True, True], width)))
    kinds = [[name, _kind(feature)] for name, feature in (info.features or {}).items()]
    print("\n" + "\n".join(table(["column", "type"], kinds, [False, False], width)))


def _known(arguments: argparse.Namespace) -> tuple[Any, dict[str, tuple[int | None, int | None]]]:
    """The info of a dataset, and for each split its rows and bytes: from the card, else from the rows themselves."""
    from madang.datasets import load_dataset_builder
    from madang.datasets.output import features_of
    from madang.datasets.shards import bytes_of

    if not _is_saved(arguments.source) and arguments.split is None:
        info = load_dataset_builder(arguments.source, **_given(arguments)).info
        if info.features is not None and info.splits:
            return info, {name: (split.num_examples, split.num_bytes) for name, split in info.splits.items()}
    splits = _splits(opened(arguments))
    first = next(iter(splits.values()))
    info = first.info.copy()
    info.features = features_of(first)
    rows = {name: _rows(dataset) for name, dataset in splits.items()}
    sizes = {name: None if rows[name] is None else bytes_of(dataset) for name, dataset in splits.items()}
    return info, {name: (rows[name], sizes[name]) for name in splits}


def _kind(feature: Any) -> str:
    if hasattr(feature, "int2str"):
        return f"ClassLabel: {', '.join(f'{number} {name}' for number, name in enumerate(feature.names))}"
    return repr(feature)


# head -----------------------------------------------------------------------------------------------------------------


def _head(arguments: argparse.Namespace) -> None:
    from madang.datasets.output import features_of

    # only the rows that are shown are read, of a repository as well
    splits = _splits(opened(arguments, streaming=True))
    name, dataset = next(iter(splits.items()))
    features = features_of(dataset)
    wanted = arguments.columns or list(features)
    for column in wanted:
        if column not in features:
            raise unknown_name("column", column, features)
    if arguments.json:
        from madang.datasets.json_lines import Style

        style = Style(force_ascii=False, date_format="iso")
        for row in _first(dataset, arguments.rows):
            print(style.any({column: _without_bytes(row[column]) for column in wanted}).replace("\\/", "/"))
        return
    rows = [[_cell(row[column], features[column]) for column in wanted] for row in _first(dataset, arguments.rows)]
    numeric = [_is_number(features[column]) for column in wanted]
    print("\n".join(table(wanted, rows, numeric, terminal_width())))
    if len(splits) > 1:
        print(f"({name}; the other splits: {', '.join(other for other in splits if other != name)})")


def _first(dataset: Any, count: int) -> Iterator[dict[str, Any]]:
    """Rows as they are stored: images and sounds are not decoded."""
    from madang.datasets.output import tables_of

    rows = (row for table in tables_of(dataset, min(count, 1000)) for row in table.to_pylist())
    return islice(rows, count)


def _cell(value: Any, feature: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if hasattr(feature, "int2str") and isinstance(value, int) and 0 <= value < len(feature.names):
        return f"{value} {feature.names[value]}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (bool, int)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, dict) and set(value) == {"bytes", "path"}:
        kind, inside = type(feature).__name__.lower(), value["bytes"]
        told = [kind, readable(len(inside)) if inside is not None else "", value["path"] or ""]
        return f"<{' '.join(part for part in told if part)}>"
    if isinstance(value, (list, dict)):
        return json.dumps(_without_bytes(value), ensure_ascii=False, default=str)
    return f"<{readable(len(value))}>" if isinstance(value, bytes) else str(value)


def _without_bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{readable(len(value))}>"
    if isinstance(value, dict):
        return {name: _without_bytes(inner) for name, inner in value.items()}
    return [_without_bytes(inner) for inner in value] if isinstance(value, list) else value


def _is_number(feature: Any) -> bool:
    kind = str(getattr(feature, "dtype", ""))
    return kind.startswith(("int", "uint", "float", "decimal")) and not hasattr(feature, "int2str")


# stats ----------------------------------------------------------------------------------------------------------------


def _stats(arguments: argparse.Namespace) -> None:
    splits = _splits(opened(arguments))
    width = terminal_width()
    for number, (name, dataset) in enumerate(splits.items()):
        columns = summarise(dataset)
        if arguments.json:
            for column in columns:
                print(json.dumps({**({"split": name} if name else {}), **column.told()}, ensure_ascii=False))
            continue
        rows = columns[0].rows if columns else _rows(dataset) or 0
        print(("\n" if number else "") + f"{name or arguments.source}: {rows:,} rows")
        for column in columns:
            print("\n" + "\n".join(column.lines(width)))


# convert --------------------------------------------------------------------------------------------------------------


def _convert(arguments: argparse.Namespace) -> None:
    splits = _splits(opened(arguments))
    target, kind = Path(arguments.target), arguments.to or _written(arguments.target)
    if kind is None and (target.suffix or len(splits) == 1):
        known = ", ".join(f".{name}" for name in WRITTEN)
        raise InputError(f"{arguments.target!r} does not say the format: let it end in one of {known}, or pass --to.")
    if kind is None:
        raise InputError(f"there are the splits {', '.join(splits)}; which format should their files have? Pass --to.")
    if kind in ("parquet", "arrow") and target.suffix.lower() in COMPRESSED:
        raise InputError(f"{kind} is compressed inside; leave out {target.suffix} of {arguments.target!r}.")
    if len(splits) > 1 and _written(arguments.target):
        raise InputError(
            f"{arguments.target!r} is one file, but there are the splits {', '.join(splits)}: choose one with --split, "
            "or name a folder and the format with --to."
        )
    if len(splits) == 1 and (arguments.to is None or target.suffix) and not target.is_dir():
        files = {target: next(iter(splits.values()))}
    else:
        files = {target / f"{name or 'train'}.{kind}": dataset for name, dataset in splits.items()}
    for file, dataset in files.items():
        rows = _write(dataset, file, kind)
        print(f"{file}: {rows:,} rows, {readable(file.stat().st_size)}")


def _written(target: str) -> str | None:
    """The format that the name of a file says, compressed or not."""
    name = target.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    ending = Path(name).suffix.removeprefix(".")
    return {"ndjson": "jsonl"}.get(ending, ending) if ending in (*WRITTEN, "ndjson") else None


def _write(dataset: Any, file: Path, kind: str) -> int:
    """Write a file and return the number of rows."""
    from madang.datasets import output
    from madang.datasets.targets import write_into

    counting = _Counted(dataset)
    match kind:
        case "csv" | "tsv":
            output.to_csv(counting, file, sep="\t" if kind == "tsv" else ",")
        case "json" | "jsonl":
            output.to_json(counting, file, lines=kind == "jsonl", force_ascii=False)
        case "parquet":
            output.to_parquet(counting, file)
        case "arrow":
            import pyarrow as pa

            def write(opened_file: Any) -> None:
                schema = output.features_of(counting).arrow_schema
                with pa.ipc.new_stream(opened_file, schema) as stream:
                    for rows in output.tables_of(counting, 10_000):
                        stream.write_table(rows)

            write_into(file, write, None, None)
    return counting.rows


class _Counted:
    """A dataset that counts the rows that were taken from it: a stream does not know them beforehand."""

    def __init__(self, dataset: Any) -> None:
        self._dataset, self.rows = dataset, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def arrow_batches(self, batch_size: int) -> Iterator[Any]:
        from madang.datasets.output import tables_of

        self.rows = 0
        for rows in tables_of(self._dataset, batch_size):
            self.rows += len(rows)
            yield rows


# push -----------------------------------------------------------------------------------------------------------------


def _push(arguments: argparse.Namespace) -> None:
    from madang.datasets import share

    data = opened(arguments)
    options = {
        "config_name": arguments.as_subset,
        "private": arguments.private,
        "revision": arguments.to_branch,
        "create_pr": arguments.create_pr,
        "max_shard_size": arguments.max_shard_size,
        "commit_message": arguments.message,
        "num_proc": arguments.num_proc,
    }
    if isinstance(data, Mapping) and arguments.as_split is None:
        commit = share.push_dataset_dict(data, arguments.repository, **options)
    else:
        if isinstance(data, Mapping) and len(data) > 1:
            raise InputError(
                f"--as-split goes with one split, but there are {', '.join(data)}: choose one with --split."
            )
        dataset = next(iter(data.values())) if isinstance(data, Mapping) else data
        name = arguments.as_split or _plain_name(arguments.split)
        commit = share.push_dataset(dataset, arguments.repository, split=name, **options)
    print(commit.pr_url or commit.commit_url)


def _plain_name(split: str | None) -> str | None:
    """A split's name without the rows that were chosen: train[:10%] -> train; None for several."""
    if split is None or "+" in split:
        return None
    return split.split("[")[0]
