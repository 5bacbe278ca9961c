"""How fast data is loaded and how much memory that takes: this library and the reference package, whole processes.

    python benchmarks/loading.py --data titles.csv --reference .parity/transformers-5/bin/python

Each run is a fresh process with an empty cache (cold) or with the cache of the run before (again). Time is that of
`load_dataset`, after the import, which is measured apart; memory is the peak of the whole process.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from model import texts
from rounds import whole_process
from tables import write_rows

FORMATS = ("csv", "json", "parquet")
CODE = (
    "import os, sys; os.environ['HF_DATASETS_CACHE'] = sys.argv[3]; os.environ['HF_HUB_OFFLINE'] = '1';"
    "os.environ['MADANG_PROGRESS'] = '0'; os.environ['HF_DATASETS_DISABLE_PROGRESS_BARS'] = '1';"
    "import time; from {package} import load_dataset; start = time.perf_counter();"
    "data = load_dataset(sys.argv[1], data_files=sys.argv[2], split='train', cache_dir=sys.argv[3]);"
    "took = time.perf_counter() - start; assert len(data) == int(sys.argv[4]);"
    # not ru_maxrss, which a new process takes over from the one that started it
    "status = open('/proc/self/status').read();"
    "print(took, int(status.split('VmHWM:')[1].split()[0]) * 1024)"
)
IMPORT = "from {package} import Dataset, load_dataset"


def write_files(folder: Path, titles: list[str], rows: int) -> dict[str, Path]:
    """The same rows as CSV, JSON lines and Parquet; CSV has no lists, so none of them has."""
    from pyarrow import csv, parquet

    write_rows(folder / "all.parquet", titles, rows)
    table = parquet.read_table(folder / "all.parquet", columns=["guid", "title", "label"])
    paths = {name: folder / f"rows.{name}" for name in FORMATS}
    csv.write_csv(table, paths["csv"])
    parquet.write_table(table, paths["parquet"])
    with open(paths["json"], "w", encoding="utf-8") as file:
        for row in table.to_pylist():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return paths


def run(command: list[str]) -> tuple[float, float]:
    """Seconds of the load and peak bytes of the process."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = done.stdout.split()[-2:]
    return float(seconds), float(peak)


def main() -> None:
    """Load every format with both, in turns, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a CSV file with a column title or text")
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reference", required=True, help="a Python interpreter that has the reference package")
    parser.add_argument("--format", choices=FORMATS, action="append", help="only these")
    arguments = parser.parse_args()
    sides = {"madang": (sys.executable, "madang.datasets"), "reference": (arguments.reference, "datasets")}
    with tempfile.TemporaryDirectory(prefix="madang-bench-") as temporary:
        folder = Path(temporary)
        paths = write_files(folder, texts(arguments.data, 40_000), arguments.rows)
        for format_name in arguments.format or FORMATS:
            size = paths[format_name].stat().st_size / 2**20
            print(f"{format_name}: {arguments.rows} rows, {size:.0f} MiB")
            found: dict[str, list[tuple[float, float]]] = {}
            for _ in range(arguments.rounds):
                for kind, (python, package) in sides.items():
                    cache = folder / kind
                    shutil.rmtree(cache, ignore_errors=True)
                    code = CODE.format(package=package)
                    command = [
                        python,
                        "-c",
                        code,
                        format_name,
                        str(paths[format_name]),
                        str(cache),
                        str(arguments.rows),
                    ]
                    for when in ("cold", "again"):
                        found.setdefault(f"{kind} {when}", []).append(run(command))
            medians = {
                name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in found.items()
            }
            for name, (seconds, peak) in medians.items():
                print(f"  {name:16} {seconds:7.3f} s  peak {peak / 2**20:5.0f} MiB")
            for when in ("cold", "again"):
                ours, theirs = medians[f"madang {when}"], medians[f"reference {when}"]
                print(
                    f"  {when}: {theirs[0] / ours[0]:.2f} x as fast, peak memory {ours[1] / theirs[1]:.2f} x",
                    flush=True,
                )
        print("import of the data part")
        ours, bare, theirs = (
            statistics.median(wall for _, wall, _ in whole_process([python, "-c", code], 5))
            for python, code in (
                (sys.executable, IMPORT.format(package="madang.datasets")),
                (sys.executable, "pass"),
                (arguments.reference, IMPORT.format(package="datasets")),
            )
        )
        print(f"  {ours - bare:.3f} s over bare Python; the reference {theirs - bare:.3f} s")


if __name__ == "__main__":
    main()
