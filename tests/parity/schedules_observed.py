"""Which learning rates a package's schedules give, as JSON.

The reference's interpreter runs this file; the tests import `observe`.

python schedules_observed.py CASES.json ANSWERS.json
"""

import json
import sys

import torch


def observe(get_scheduler, cases):
    """The learning rates of every case, {"name", "lr", "warmup", "total", "options"}, until past the last step."""
    answers = []
    for case in cases:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=case["lr"])
        schedule = get_scheduler(case["name"], optimizer, case["warmup"], case["total"], case["options"])
        seen = []
        for step in range(case["total"] + 4):
            seen.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            # losses that fall, then stay
            schedule.step(*[max(1.0, 3.0 - step)] * (case["name"] == "reduce_lr_on_plateau"))
        answers.append(seen)
    return answers


def main(cases, answers):
    """Ask the installed transformers."""
    import warnings

    import transformers

    warnings.simplefilter("ignore")
    with open(cases, encoding="utf-8") as file:
        asked = json.load(file)
    with open(answers, "w", encoding="utf-8") as file:
        json.dump(observe(transformers.get_scheduler, asked), file)


if __name__ == "__main__":
    main(*sys.argv[1:])
