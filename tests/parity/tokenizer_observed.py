"""Everything about a tokenizer that is compared: run here on ours, and by the reference's own interpreter on its own.

As a script: `python tokenizer_observed.py jobs.json`, a list of {"folder", "lines", "out", "saved"}; what was seen is
written to `out`, and the tokenizer itself to `saved` where that is named.
"""

import json
import sys


def observe(tokenizer, lines):
    """What `tokenizer` answers for `lines`, as plain JSON values."""
    seen_special = tokenizer("[MASK] [SEP] <mask></s><|endoftext|> <s>")["input_ids"]
    few = [line for line in lines[::97] if line.strip()][:80]
    first, second = few[:40], few[40:80]
    words = [line.split() for line in few]
    seen = {"ids": tokenizer(lines)["input_ids"], "special in text": seen_special}
    calls = {
        "list": dict(text=few, return_special_tokens_mask=True, return_offsets_mapping=True, return_length=True),
        "pairs": dict(text=first, text_pair=second, return_special_tokens_mask=True),
        "list of pairs": dict(text=[list(pair) for pair in zip(first, second, strict=True)]),
        "without special tokens": dict(text=few, add_special_tokens=False),
        "truncated": dict(text=few, truncation=True, max_length=9),
        "windows": dict(
            text=few,
            truncation=True,
            max_length=10,
            stride=3,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        ),
        "question windows": dict(
            text=[text[:8] for text in first],
            text_pair=second,
            truncation="only_second",
            max_length=32,
            stride=4,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        ),
        "longest first": dict(text=first, text_pair=second, truncation="longest_first", max_length=15),
        "only first": dict(
            text=[text * 9 for text in first],
            text_pair=[text[:2] for text in second],
            truncation="only_first",
            max_length=20,
        ),
    }
    if tokenizer.pad_token is not None:
        calls["padded"] = dict(text=few, padding=True, return_special_tokens_mask=True, return_offsets_mapping=True)
        calls["padded to a multiple"] = dict(text=few, padding="longest", pad_to_multiple_of=8)
        calls["padded and cut"] = dict(text=few, padding="max_length", truncation=True, max_length=14)
        calls["padded windows"] = dict(
            text=few, padding="max_length", truncation=True, max_length=11, stride=2, return_overflowing_tokens=True
        )
    for name, options in calls.items():
        batch = tokenizer(**options)
        seen[name] = {key: batch[key] for key in sorted(batch.keys())}
        seen[name + ": tokens"] = [batch.tokens(index) for index in range(len(batch["input_ids"]))]
        seen[name + ": words"] = [batch.word_ids(index) for index in range(len(batch["input_ids"]))]
        seen[name + ": sequences"] = [batch.sequence_ids(index) for index in range(len(batch["input_ids"]))]
    # 4.40.1 refuses words for a GPT-2 that puts no blank before the first one
    if "GPT2" not in type(tokenizer).__name__:
        batch = tokenizer(words, is_split_into_words=True)
        seen["words"] = [batch["input_ids"], [batch.word_ids(index) for index in range(len(words))]]
    rows = tokenizer(few)["input_ids"]
    seen["decoded"] = tokenizer.batch_decode(rows, clean_up_tokenization_spaces=True)
    seen["decoded without"] = tokenizer.batch_decode(rows, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    seen["tokenize"] = [tokenizer.tokenize(text) for text in few]
    seen["tokens of ids"] = [tokenizer.convert_ids_to_tokens(row) for row in rows]
    seen["ids of tokens"] = [tokenizer.convert_tokens_to_ids(tokens) for tokens in seen["tokenize"]]
    seen["text of tokens"] = [tokenizer.convert_tokens_to_string(tokens) for tokens in seen["tokenize"]]
    seen["one text"] = dict(tokenizer(few[0]))
    seen["one window"] = dict(tokenizer(few[0] * 3, truncation=True, max_length=8, return_overflowing_tokens=True))
    roles = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
    seen["special"] = {role: [getattr(tokenizer, role), getattr(tokenizer, role + "_id")] for role in roles}
    seen["special ids"] = sorted(set(tokenizer.all_special_ids))
    seen["sizes"] = [len(tokenizer), tokenizer.vocab_size]
    seen["added by special"] = [tokenizer.num_special_tokens_to_add(False), tokenizer.num_special_tokens_to_add(True)]
    seen["input names"] = list(tokenizer.model_input_names)
    if tokenizer.mask_token is not None:
        seen["mask in text"] = tokenizer(f"{few[0]} {tokenizer.mask_token} {few[1]}")["input_ids"]
    if tokenizer.pad_token is not None:
        examples = [{"input_ids": row, "attention_mask": [1] * len(row), "label": 1} for row in rows[:7]]
        padded = tokenizer.pad(examples, pad_to_multiple_of=4)
        seen["pad"] = {key: padded[key] for key in sorted(padded.keys())}
        tokenizer.padding_side = "left"
        padded = tokenizer.pad({"input_ids": rows[:7]}, padding="max_length", max_length=99)
        seen["pad left"] = {key: padded[key] for key in sorted(padded.keys())}
        tokenizer.truncation_side = "left"
        cut = tokenizer(few, padding=True, truncation=True, max_length=7)
        seen["left"] = {key: cut[key] for key in sorted(cut.keys())}
    return json.loads(json.dumps(seen))


def main():
    import transformers

    with open(sys.argv[1], encoding="utf-8") as file:
        jobs = json.load(file)
    for job in jobs:
        with open(job["lines"], encoding="utf-8") as file:
            lines = json.load(file)
        tokenizer = transformers.AutoTokenizer.from_pretrained(job["folder"])
        if job["saved"]:
            tokenizer.save_pretrained(job["saved"])
        with open(job["out"], "w", encoding="utf-8") as file:
            json.dump(observe(tokenizer, lines), file)


if __name__ == "__main__":
    main()
