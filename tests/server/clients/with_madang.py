"""What people do with Madang's own library and a hub: `python … FOLDER` as alice. Prints one JSON object."""

import json
import sys
from pathlib import Path

import torch

import madang

torch.set_num_threads(1)
work = Path(sys.argv[1])
seen: dict[str, object] = {}
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "한국어", "문장", "good", "bad"]
(work / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
tokenizer = madang.BertTokenizerFast(str(work / "vocab.txt"), do_lower_case=False)
small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
config = madang.BertConfig(vocab_size=len(words), **small, num_labels=2)
model = madang.AutoModelForSequenceClassification.from_config(config).eval()

model.push_to_hub("alice/tiny", private=True)
tokenizer.push_to_hub("alice/tiny")
found = madang.AutoModelForSequenceClassification.from_pretrained("alice/tiny")
left, right = model.state_dict(), found.state_dict()
seen["the same model"] = left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
text = "한국어 문장 good"
again = madang.AutoTokenizer.from_pretrained("alice/tiny")
seen["the same ids"] = again(text)["input_ids"] == tokenizer(text)["input_ids"]
seen["pipeline"] = sorted(madang.pipeline("text-classification", model="alice/tiny")(text)[0])

texts, labels = ["good", "bad", "good 문장", "bad 문장"], [1, 0, 1, 0]
table = madang.DatasetDict(
    {
        "train": madang.Dataset.from_dict({"text": texts, "label": labels}),
        "test": madang.Dataset.from_dict({"text": texts[:2], "label": labels[:2]}),
    }
)
table.push_to_hub("alice/table", "first")
table.push_to_hub("alice/table", "second")
seen["rows"] = madang.load_dataset("alice/table", "first", split="train")["text"][:] == texts
stream = madang.load_dataset("alice/table", "second", split="test", streaming=True)
seen["stream"] = [row["text"] for row in stream] == texts[:2]

arguments = madang.TrainingArguments(
    output_dir=str(work / "trained"),
    push_to_hub=True,
    hub_model_id="alice/trained",
    hub_strategy="end",
    num_train_epochs=1,
    use_cpu=True,
    report_to=[],
)
data = madang.load_dataset("alice/table", "first", split="train").map(lambda row: tokenizer(row["text"]))
trainer = madang.Trainer(model=model, args=arguments, train_dataset=data, processing_class=tokenizer)
trainer.train()
trainer.push_to_hub()
trained = madang.AutoModelForSequenceClassification.from_pretrained("alice/trained")
left, right = model.state_dict(), trained.state_dict()
seen["trained"] = left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
print(json.dumps(seen))
