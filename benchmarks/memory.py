"""What grows and what does not: files written for one small new column, memory while streaming ten million rows.

    python benchmarks/memory.py --rows 10000000 --gigabytes 5

Needs as much free disk as the table takes; `--gigabytes 1` is enough to see the same.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from madang.datasets import Dataset, IterableDataset
from madang.datasets.writer import ArrowWriter


def anonymous() -> int:
    """Bytes of this process that are no file's: mapped pages can be given back at any moment and do not count."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell")


def one_column(folder: Path, gigabytes: float) -> None:
    """Map a small column onto a large table and look at what was written."""
    text = "마당은 집의 열린 뜰이다. " * 30
    rows = int(gigabytes * 2**30 / len(text.encode()))
    with ArrowWriter(folder / "table.arrow") as writer:
        for start in range(0, rows, 10_000):
            count = min(10_000, rows - start)
            writer.write({"text": pa.array([text] * count), "number": pa.array(range(start, start + count))}, count)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    data = Dataset.from_file(folder / "table.arrow")
    before, start = anonymous(), time.perf_counter()
    mapped = data.map(lambda batch: {"half": [number // 2 for number in batch["number"]]}, batched=True)
    took = time.perf_counter() - start
    written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) - size
    assert mapped[len(mapped) - 1]["half"] == (rows - 1) // 2
    print(
        f"table: {size / 2**30:.2f} GiB, {rows} rows; one column more wrote {written / 2**20:.1f} MiB in {took:.1f} s,"
    )
    print(
        f"  that is {written / rows:.1f} bytes a row; anonymous memory grew by {(anonymous() - before) / 2**20:.0f} MiB"
    )
    start = time.perf_counter()
    ordered = mapped.shuffle(seed=1).sort("half")
    chosen = ordered.select(range(1000)).map(lambda row: {"length": len(row["text"])}, keep_in_memory=True)
    assert chosen[0]["length"] == len(text)
    print(f"  shuffle, sort, select and map on it: {time.perf_counter() - start:.1f} s")


def blocks(shard: int):
    """A shard of the stream: a hundred thousand rows."""
    for start in range(shard * 100_000, (shard + 1) * 100_000, 10_000):
        numbers = np.arange(start, start + 10_000)
        yield pa.table({"number": numbers, "text": [f"row number {number}" for number in numbers]})


def streaming(rows: int) -> None:
    """Go through a stream, plain and shuffled and mapped, and watch the memory."""
    stream = IterableDataset.from_shards(blocks, list(range(rows // 100_000)))
    for name, data in (
        ("plain", stream),
        ("shuffled", stream.shuffle(seed=1, buffer_size=10_000)),
        ("mapped", stream.map(lambda row: {"double": 2 * row["number"]})),
    ):
        seen, peaks, start = 0, [], time.perf_counter()
        for _ in data:
            seen += 1
            if seen % (rows // 10) == 0:
                peaks.append(anonymous() // 2**20)
        assert seen == rows
        print(
            f"{name}: {rows} rows, {rows / (time.perf_counter() - start):.0f} a second; MiB after each tenth: {peaks}"
        )


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--gigabytes", type=float, default=5)
    arguments = parser.parse_args()
    os.environ["MADANG_PROGRESS"] = "0"
    with tempfile.TemporaryDirectory(prefix="madang-bench-") as folder:
        one_column(Path(folder), arguments.gigabytes)
    streaming(arguments.rows)


if __name__ == "__main__":
    main()
