"""How long training waits before its first batch when a million rows are grouped by length.

python benchmarks/length_grouping.py --rows 1000000
"""

import argparse
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    import torch

    from madang import Trainer, TrainingArguments
    from madang.datasets import Dataset

    lengths = np.random.default_rng(0).integers(4, 64, arguments.rows)
    ids = pa.array(np.ones(int(lengths.sum()), dtype=np.int32))
    texts = pa.ListArray.from_arrays(pa.array(np.concatenate(([0], lengths.cumsum())).astype(np.int32)), ids)
    rows = Dataset(pa.table({"input_ids": texts}))

    class Model(torch.nn.Linear):
        def forward(self, input_ids: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": super().forward(input_ids.float().sum(1, keepdim=True)).sum()}

    def collate(picked: list[dict]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in picked)
        return {"input_ids": torch.tensor([row["input_ids"] + [0] * (width - len(row["input_ids"])) for row in picked])}

    with tempfile.TemporaryDirectory(prefix="training-benchmark-") as folder:
        for grouped in (False, True):
            waited = []
            for _ in range(arguments.rounds):
                args = TrainingArguments(folder, per_device_train_batch_size=arguments.batch, group_by_length=grouped)
                trainer = Trainer(Model(1, 1), args, data_collator=collate, train_dataset=rows)
                start = time.perf_counter()
                next(iter(trainer.get_train_dataloader()))
                waited.append(time.perf_counter() - start)
            order = "grouped by length" if grouped else "in any order"
            print(f"{arguments.rows} rows {order}: first batch after {min(waited):.3f} to {max(waited):.3f} s")


if __name__ == "__main__":
    sys.exit(main())
