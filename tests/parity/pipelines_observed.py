"""What a package's pipelines answer, as JSON. The reference's interpreter runs this file; the tests import `observe`.

python pipelines_observed.py CASES.json ANSWERS.json
"""

import json
import sys


def observe(pipeline, cases):
    """The answer to every case, {"task", "model", "options", "arguments", "call"}; some share a pipeline."""
    made, answers = {}, []
    for case in cases:
        key = json.dumps([case["task"], case["model"], case["options"]])
        if key not in made:
            made[key] = pipeline(case["task"], model=case["model"], **case["options"])
        answers.append(plain(made[key](*case["arguments"], **case["call"])))
    return answers


def plain(answer):
    """The same with Python's own numbers."""
    if isinstance(answer, dict):
        return {name: plain(value) for name, value in answer.items()}
    if isinstance(answer, (list, tuple)):
        return [plain(value) for value in answer]
    return answer.item() if hasattr(answer, "item") else answer


def main(cases, answers):
    """Ask the installed transformers."""
    import warnings

    import torch
    import transformers

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    with open(cases, encoding="utf-8") as file:
        asked = json.load(file)
    with open(answers, "w", encoding="utf-8") as file:
        json.dump(observe(transformers.pipeline, asked), file)


if __name__ == "__main__":
    main(*sys.argv[1:])
