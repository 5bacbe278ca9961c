"""What the trainer costs around forward, backward and optimizer step: Trainer.train() against a hand-written loop.

    python benchmarks/overhead.py --data train.csv

The loop goes over batches that were made before; the trainer reads rows, makes batches, counts, checks and logs.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from trainers import clock_of, common_options, fresh, labelled, rows_of, trainer_of


def main() -> None:
    """Take turns and compare."""
    parser = common_options(__doc__)
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    import torch

    from madang import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    torch.set_num_threads(arguments.threads)
    texts, labels, classes = labelled(arguments.data, arguments.batch * arguments.steps)
    with tempfile.TemporaryDirectory(prefix="training-benchmark-") as folder:
        files = fresh(Path(folder), classes, arguments.dropout)
        model = AutoModelForSequenceClassification.from_pretrained(files)
        tokenizer = AutoTokenizer.from_pretrained(files)
    rows = rows_of("madang", tokenizer, texts, labels, False)
    collate = DataCollatorWithPadding(tokenizer)
    starts = range(0, len(texts), arguments.batch)
    batches = [collate([rows[row] for row in range(start, start + arguments.batch)]) for start in starts]

    def bare() -> None:
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.0, fused=True)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))
        for batch in batches:
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()

    def trained() -> None:
        trainer_of("madang", model, tokenizer, rows, arguments.batch).train()

    clock, seconds = clock_of(arguments), {"loop": [], "trainer": []}
    for number in range(arguments.rounds + 1):
        for name, function in (("loop", bare), ("trainer", trained)):
            start = clock()
            function()
            if number:
                seconds[name].append(clock() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    steps = len(batches)
    print(f"loop {1000 * medians['loop'] / steps:.2f} ms a step, trainer {1000 * medians['trainer'] / steps:.2f}")
    print(f"the trainer takes {medians['trainer'] / medians['loop'] - 1:+.1%} over the loop")


if __name__ == "__main__":
    sys.exit(main())
