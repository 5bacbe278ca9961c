"""What a package's collators make of the same rows, as JSON. The reference's interpreter runs this file.

python collators_observed.py TOKENIZER_FOLDER ANSWERS.json
"""

import json
import sys

import numpy as np
import torch

TEXTS = ([2, 5, 6, 7, 3], [2, 8, 3], [2, 9, 10, 5, 6, 12, 3])
SIZED = [[1, 2], [3, 4]]


def rows(texts=TEXTS, make=list, **columns):
    """Rows with ids, masks and types, each as `make` makes it; `columns` are functions of a text's ids."""
    return [
        {
            "input_ids": make(ids),
            "attention_mask": make([1] * len(ids)),
            "token_type_ids": make([0] * len(ids)),
            **{name: value(ids) for name, value in columns.items()},
        }
        for ids in texts
    ]


def cases(package, load):
    """Name -> a function that makes a batch. `load` makes the tokenizer, with settings."""
    right, left = load(), load(padding_side="left")
    pad, tokens = package.DataCollatorWithPadding, package.DataCollatorForTokenClassification
    default, answer, language = (
        package.default_data_collator,
        package.DataCollatorForSeq2Seq,
        package.DataCollatorForLanguageModeling,
    )
    label, per_token, target = (lambda ids: len(ids) % 2), (lambda ids: [i % 3 for i in ids]), (lambda ids: ids[:-2])
    made = {
        "default ints": lambda: default([{"a": row, "label": 1, "text": "x"} for row in SIZED]),
        "default floats": lambda: default([{"a": [0.5, 1.5], "label": 0.5} for row in SIZED]),
        "default label_ids": lambda: default([{"a": row, "label_ids": row} for row in SIZED]),
        "default tensors": lambda: default([{"a": torch.tensor(row), "label": torch.tensor(1)} for row in SIZED]),
        "default arrays": lambda: default(
            [{"a": np.array(row, np.int32), "b": np.ones(2, np.float32)} for row in SIZED]
        ),
        "default float64 arrays": lambda: default([{"b": np.ones(2)} for row in SIZED]),
        "default np": lambda: default([{"a": row, "b": [0.5], "label": 0.5} for row in SIZED], return_tensors="np"),
        "default class": lambda: package.DefaultDataCollator()([{"a": row, "label": 1} for row in SIZED]),
        "multi-label": lambda: pad(right)(rows(label=lambda ids: [0.0, 1.0])),
        "regression": lambda: pad(right)(rows(label=lambda ids: 0.5)),
        "label_ids": lambda: pad(right)(rows(label_ids=label)),
        "targets": lambda: answer(right)(rows(labels=target)),
        "targets left": lambda: answer(left)(rows(labels=target)),
        "targets wide": lambda: answer(right, padding="max_length", max_length=9, label_pad_token_id=-1)(
            rows(labels=target)
        ),
        "targets multiple": lambda: answer(right, pad_to_multiple_of=4)(rows(labels=target)),
        "targets np": lambda: answer(right, return_tensors="np")(rows(labels=target)),
        "tagged": lambda: tokens(right)(rows(labels=per_token)),
        "tagged left": lambda: tokens(left, label_pad_token_id=-7)(rows(labels=per_token)),
        "tagged np": lambda: tokens(right, return_tensors="np")(rows(labels=per_token)),
        "tagged to predict": lambda: tokens(right)(rows()),
        "causal": lambda: language(right, mlm=False)(rows()),
        "causal left": lambda: language(left, mlm=False, pad_to_multiple_of=4)(rows()),
        "causal np": lambda: language(right, mlm=False, return_tensors="np")(rows()),
        "causal, one length": lambda: language(right, mlm=False)(rows(TEXTS[:1] * 3)),
        "causal, padding ends texts": lambda: language(load(pad_token="[SEP]"), mlm=False)(rows()),
        "causal plain ids": lambda: language(right, mlm=False)(list(TEXTS)),
        "masked": lambda: language(right, mlm_probability=0.4)(rows(TEXTS * 4)),
        "masked left": lambda: language(left)(rows(TEXTS * 9)),
        "masked by a mask": lambda: language(right, mlm_probability=0.9)(
            rows(special_tokens_mask=lambda ids: [i % 2 for i in ids])
        ),
    }
    for kind in ("pt", "np"):
        for side in (right, left):
            for options in (
                {},
                {"pad_to_multiple_of": 8},
                {"padding": "max_length", "max_length": 9},
                {"padding": "longest"},
            ):
                name = f"padded {kind} {side.padding_side} {options}"
                made[name] = lambda side=side, kind=kind, options=options: pad(side, return_tensors=kind, **options)(
                    rows(label=label)
                )
    for make in (torch.tensor, np.array):
        made[f"padded from {make.__name__}"] = lambda make=make: pad(right)(rows(make=make, label=label))
        made[f"tagged from {make.__name__}"] = lambda make=make: tokens(right)(
            rows(make=make, labels=lambda ids: make(per_token(ids)))
        )
    return made


def new_cases(package, load):
    """Those of collators that 2024 had not."""
    right = load()
    choices, row = package.DataCollatorForMultipleChoice, package.DataCollatorWithFlattening
    texts = [{"input_ids": [TEXTS[0], TEXTS[1]], "label": 1}, {"input_ids": [TEXTS[2], TEXTS[1]], "label": 0}]
    plain = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in TEXTS]
    language = package.DataCollatorForLanguageModeling
    return {
        "choices": lambda: choices(right)(texts),
        "choices multiple": lambda: choices(right, pad_to_multiple_of=8)(texts),
        "in a row": lambda: row()(plain),
        "in a row with labels": lambda: row(separator_id=-1)([{**each, "labels": each["input_ids"]} for each in plain]),
        "in a row from 2": lambda: row(position_ids_start=2, return_tensors="np")(plain),
        "masked by seed": lambda: language(right, seed=5, mlm_probability=0.4)(rows(TEXTS * 4)),
        # words do not touch here, so offsets and pieces say the same; offsets of texts of different lengths fail there
        "whole words": lambda: language(
            right, whole_word_mask=True, mask_replace_prob=1.0, random_replace_prob=0.0, mlm_probability=0.4
        )(
            [
                {**dict(right(text, return_offsets_mapping=True, return_special_tokens_mask=True))}
                for text in ("unable table able", "tables able table", "able unable table") * 6
            ]
        ),
    }


def observe(made):
    """Name -> column -> kind, type and values; or what went wrong. Chance begins anew for each."""
    seen = {}
    for name, make in made.items():
        torch.manual_seed(7)
        try:
            batch = dict(make())
        except Exception as error:
            seen[name] = {"error": type(error).__name__}
            continue
        seen[name] = {
            column: [type(value).__name__, str(value.dtype).removeprefix("torch."), value.tolist()]
            for column, value in batch.items()
        }
    return seen


def hidden_shares(package, load):
    """How often whole words are hidden, and by what, over many of them: shares from 0 to 1."""
    tokenizer = load()
    torch.manual_seed(1)
    np.random.seed(1)
    collate = package.DataCollatorForWholeWordMask(tokenizer, mlm_probability=0.2)
    ids = tokenizer("unable able tables table")["input_ids"][1:-1] * 10
    batch = collate([{"input_ids": ids}] * 300)
    chosen = batch["labels"] != -100
    masked = batch["input_ids"][chosen] == tokenizer.mask_token_id
    kept = batch["input_ids"][chosen] == batch["labels"][chosen]
    return [float(each.float().mean()) for each in (chosen, masked, kept)]


def main(folder, answers):
    """Ask the installed transformers."""
    import random
    import warnings

    import transformers

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    random.seed(0)

    def load(**settings):
        return transformers.AutoTokenizer.from_pretrained(folder, **settings)

    seen = observe(cases(transformers, load))
    if hasattr(transformers, "DataCollatorWithFlattening"):
        seen |= observe(new_cases(transformers, load))
    if hasattr(transformers, "DataCollatorForWholeWordMask"):
        seen["shares"] = hidden_shares(transformers, load)
    with open(answers, "w", encoding="utf-8") as file:
        json.dump(seen, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
