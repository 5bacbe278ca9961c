"""save_pretrained and push_to_hub; files and interruptions: tests/unit/checkpoints/test_save.py."""

import json

import torch

from madang.auto import AutoModel
from madang.testing import tiny_model


def read(folder):
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def test_the_config_names_class_and_dtype_for_every_reader(tmp_path):
    tiny_model("gpt2", "causal-language").to(torch.float16).save_pretrained(tmp_path)
    values = read(tmp_path)
    assert values["architectures"] == ["GPT2LMHeadModel"]
    assert values["dtype"] == values["torch_dtype"] == "float16"
    assert values["model_type"] == "gpt2"


def test_a_model_saved_as_another_class_says_so(tmp_path):
    tiny_model("bert", "sequence-classification").save_pretrained(tmp_path / "head")
    AutoModel.from_pretrained(tmp_path / "head").save_pretrained(tmp_path / "body")
    assert read(tmp_path / "body")["architectures"] == ["BertModel"]
    assert read(tmp_path / "body")["id2label"]["3"] == "LABEL_3"


def test_labels_are_saved_with_their_names(tmp_path):
    model = tiny_model("bert", "sequence-classification")
    model.config.id2label = {0: "정치", 1: "경제", 2: "사회", 3: "문화"}
    model.save_pretrained(tmp_path)
    assert read(tmp_path)["label2id"] == {"정치": 0, "경제": 1, "사회": 2, "문화": 3}
    assert AutoModel.from_pretrained(tmp_path).config.id2label[3] == "문화"
