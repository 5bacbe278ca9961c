"""What the trainer costs around forward, backward and optimizer step: Trainer.train() against a hand-written loop.

    python benchmarks/overhead.py --data train.csv

The loop goes over batches that were made before; the trainer reads rows, makes batches, counts, checks and logs. It is
compared with the loop's own optimizer, and as it comes: skipping rows of the embedding table that no text has used.
"""

import random
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
    from madang.training import used_rows

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

    def with_the_same_optimizer() -> None:
        before, used_rows.LARGE = used_rows.LARGE, sys.maxsize
        trained()
        used_rows.LARGE = before

    functions = {"loop": bare, "trainer": with_the_same_optimizer, "trainer as it comes": trained}
    mixing = random.Random(0)
    clock, seconds = clock_of(arguments), {name: [] for name in functions}
    for number in range(arguments.rounds + 1):
        # in another order each round: what the one before leaves in memory helps or hinders the next
        for name in mixing.sample(list(functions), len(functions)):
            function = functions[name]
            start = clock()
            function()
            if number:
                seconds[name].append(clock() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name:20} {1000 * median / len(batches):7.2f} ms a step, {median / medians['loop'] - 1:+.1%}")


if __name__ == "__main__":
    sys.exit(main())
