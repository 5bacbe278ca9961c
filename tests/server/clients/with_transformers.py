"""What people do with transformers and a hub, in the words of 4.40.1 and of 5.

Run by test_public_packages.py as alice, in the environment of that release; bob's token is the argument. `alice/gated`
and `alice/gpt2` are there, empty, and `gpt2` is another name of the latter. Prints one JSON object.
"""

import json
import sys

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    pipeline,
)

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
torch.manual_seed(0)
bob = sys.argv[1]
new = transformers.__version__.startswith("5")
seen: dict[str, object] = {"version": transformers.__version__}

if new:
    import httpx2 as library

    Sender = library.Client
else:
    import requests as library

    Sender = library.Session
asked: list[str] = []
send = Sender.send


def counted(self, request, **options):
    asked.append(f"{request.method} {request.url}")
    return send(self, request, **options)


Sender.send = counted


def requests_of(action):
    """What an action gives, and how many requests it made."""
    asked.clear()
    return action(), len(asked)


def refusal(name, **options):
    """The name of what loading raises, where nothing was loaded before, and of the hub's own exception behind it."""
    try:
        AutoModel.from_pretrained(name, cache_dir="empty", **options)
    except Exception as error:
        return [type(error).__name__, type(error.__cause__).__name__, "gated repo" in str(error)]
    return None


def same(first, second):
    left, right = first.state_dict(), second.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "한국어", "문장", "good", "bad"]
made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
made.pre_tokenizer = pre_tokenizers.Whitespace()
named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, **named)
small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
config = BertConfig(vocab_size=len(words), **small, id2label={0: "나쁨", 1: "좋음"}, label2id={"나쁨": 0, "좋음": 1})
model = BertForSequenceClassification(config).eval()

model.push_to_hub("alice/tiny")
tokenizer.push_to_hub("alice/tiny")
found, seen["requests of the first load"] = requests_of(
    lambda: AutoModelForSequenceClassification.from_pretrained("alice/tiny")
)
seen["the same model"] = same(model, found)
found, seen["requests of the second load"] = requests_of(
    lambda: AutoModelForSequenceClassification.from_pretrained("alice/tiny")
)
text = "한국어 문장 good"
seen["the same ids"] = AutoTokenizer.from_pretrained("alice/tiny")(text)["input_ids"] == tokenizer(text)["input_ids"]
seen["pipeline"] = pipeline("text-classification", model="alice/tiny")(text)[0]["label"] in ("나쁨", "좋음")

model.push_to_hub("alice/secret", private=True)
seen["private"] = same(model, AutoModelForSequenceClassification.from_pretrained("alice/secret"))
seen["private, by bob"] = refusal("alice/secret", token=bob)

other = BertForSequenceClassification(config).eval()
other.push_to_hub("alice/tiny", revision="feature/x")
seen["branch"] = [
    same(other, AutoModelForSequenceClassification.from_pretrained("alice/tiny", revision="feature/x")),
    same(model, AutoModelForSequenceClassification.from_pretrained("alice/tiny")),
]
other.push_to_hub("alice/tiny", create_pr=True)
proposed = AutoModelForSequenceClassification.from_pretrained("alice/tiny", revision="refs/pr/1")
seen["pull request"] = same(other, proposed)
seen["no such branch"] = refusal("alice/tiny", revision="absent")
seen["no such model"] = refusal("alice/absent")

model.push_to_hub("alice/gated")
seen["gated"] = same(model, AutoModelForSequenceClassification.from_pretrained("alice/gated"))
seen["gated, by bob"] = refusal("alice/gated", token=bob)
seen["gated, by nobody"] = refusal("alice/gated", token=False)

writer = GPT2LMHeadModel(GPT2Config(vocab_size=len(words), n_embd=8, n_layer=1, n_head=2, n_positions=16)).eval()
writer.push_to_hub("alice/gpt2")
tokenizer.push_to_hub("alice/gpt2")
seen["without an owner"] = [
    same(writer, GPT2LMHeadModel.from_pretrained("gpt2")),
    AutoTokenizer.from_pretrained("gpt2").vocab_size,
    len(pipeline("text-generation", model="gpt2")("good bad", max_new_tokens=2, pad_token_id=0)) == 1,
]
arguments = TrainingArguments(
    output_dir="trained",
    push_to_hub=True,
    hub_model_id="alice/trained",
    num_train_epochs=1,
    save_strategy="no",
    use_cpu=True,
    report_to=[],
    disable_tqdm=True,
)
rows = [{**tokenizer(text), "labels": number % 2} for number in range(8)]
trainer = Trainer(model, arguments, train_dataset=rows)
trainer.train()
trainer.push_to_hub(commit_message="trained")
seen["trained"] = same(model, AutoModelForSequenceClassification.from_pretrained("alice/trained"))
print(json.dumps(seen))
