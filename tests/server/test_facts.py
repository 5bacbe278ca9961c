"""What a repository is said to be, by its card, its config and its weights."""

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from madang.server.large_files import service as large_files
from madang.server.repositories.pipelines import pipeline_of
from madang.server.repositories.safetensors import count_parameters
from madang.testing.hub import HubForTests

Clients = Callable[..., TestClient]
Commit = Callable[..., str]


@pytest.fixture
def alice(client: Clients) -> TestClient:
    found = client("alice")
    for kind in ("model", "dataset"):
        found.post("/api/repos/create", json={"name": "bert", "type": kind})
    found.post("/api/repos/create", json={"name": "bert", "type": "space", "sdk": "gradio"})
    return found


def card(text: str) -> bytes:
    return f"---\n{text.strip()}\n---\n# Title\nSee https://arxiv.org/abs/1810.04805 for more.\n".encode()


def tensors(**shapes: tuple[str, list[int]]) -> bytes:
    """A safetensors file whose tensors are all zero."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name, (kind, shape) in shapes.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [0, 0]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def bring(hub: HubForTests, content: bytes, repository_id: int = 1) -> bytes:
    """Keep a large file; returns its pointer."""
    sha256 = hashlib.sha256(content).hexdigest()
    large_files.keep(hub.hub, repository_id, [content], sha256, len(content), None)
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()


def test_a_model_has_the_tags_of_its_card_and_of_its_files(alice: TestClient, commit: Commit) -> None:
    readme = card(
        """
language: [ko, en]
license: apache-2.0
library_name: transformers
tags: [exbert, exbert, custom]
datasets: [klue/klue, "alice/자료"]
base_model: google-bert/bert-base-multilingual-cased
model-index: [{name: x}]
"""
    )
    config = {"architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_size": 8}
    tokenizer = {"mask_token": "[MASK]", "chat_template": "{{ x }}", "model_max_length": 512}
    commit(
        "alice/bert",
        {
            **{"README.md": readme, "config.json": json.dumps(config).encode(), "onnx/model.onnx": b"1"},
            **{"tokenizer_config.json": json.dumps(tokenizer).encode(), "pytorch_model.bin": b"1"},
        },
    )
    answer = alice.get("/api/models/alice/bert").json()
    assert answer["tags"] == [
        *("transformers", "pytorch", "onnx", "bert", "fill-mask", "exbert", "custom", "conversational", "ko", "en"),
        *("dataset:klue/klue", "dataset:alice/자료", "arxiv:1810.04805"),
        "base_model:google-bert/bert-base-multilingual-cased",
        "base_model:finetune:google-bert/bert-base-multilingual-cased",
        *("license:apache-2.0", "model-index", "region:us"),
    ]
    assert (answer["pipeline_tag"], answer["library_name"]) == ("fill-mask", "transformers")
    assert answer["config"] == {
        **{"architectures": ["BertForMaskedLM"], "model_type": "bert"},
        "tokenizer_config": {"mask_token": "[MASK]", "chat_template": "{{ x }}"},
    }
    assert answer["mask_token"] == "[MASK]"
    assert answer["transformersInfo"] == {
        **{"auto_model": "AutoModelForMaskedLM", "pipeline_tag": "fill-mask", "processor": "AutoTokenizer"}
    }
    assert answer["cardData"]["language"] == ["ko", "en"]


def test_what_the_card_says_of_the_task_goes_first(alice: TestClient, commit: Commit) -> None:
    config = json.dumps({"architectures": ["BertForMaskedLM"], "model_type": "bert"}).encode()
    for text, task in (
        ("pipeline_tag: text-classification", "text-classification"),
        ("tags: [foo, token-classification]", "token-classification"),
        ("library_name: keras", None),
        ("license: mit", "fill-mask"),
    ):
        commit("alice/bert", {"README.md": card(text), "config.json": config})
        assert alice.get("/api/models/alice/bert").json().get("pipeline_tag") == task


@pytest.mark.parametrize(
    ("architecture", "model_type", "task"),
    [
        ("LlamaForCausalLM", "llama", "text-generation"),
        ("GPT2LMHeadModel", "gpt2", "text-generation"),
        ("ElectraForSequenceClassification", "electra", "text-classification"),
        ("Wav2Vec2ForSequenceClassification", "wav2vec2", "audio-classification"),
        ("Wav2Vec2ForCTC", "wav2vec2", "automatic-speech-recognition"),
        ("WhisperForConditionalGeneration", "whisper", "automatic-speech-recognition"),
        ("T5ForConditionalGeneration", "t5", "text2text-generation"),
        ("Qwen2VLForConditionalGeneration", "qwen2_vl", "image-text-to-text"),
        ("CLIPModel", "clip", "zero-shot-image-classification"),
        ("BertModel", "bert", "feature-extraction"),
        ("BertForPreTraining", "bert", None),
        ("Something", "x", None),
    ],
)
def test_the_task_follows_from_the_class(architecture: str, model_type: str, task: str | None) -> None:
    assert pipeline_of([architecture], model_type) == task


@pytest.mark.parametrize(
    ("files", "text", "relation"),
    [
        ({"adapter_config.json": b"{}"}, "base_model: a/b", "adapter"),
        ({"model.gguf": b"1"}, "base_model: a/b", "quantized"),
        ({}, "base_model: [a/b, c/d]", "merge"),
        ({}, "base_model: a/b\nbase_model_relation: adapter", "adapter"),
        ({}, "base_model: a/b", "finetune"),
    ],
)
def test_the_relation_to_the_base_model_is_a_tag(
    alice: TestClient, commit: Commit, files: dict[str, bytes], text: str, relation: str
) -> None:
    commit("alice/bert", {**files, "README.md": card(text)})
    found = alice.get("/api/models/alice/bert", params={"expand": ["tags", "baseModels"]}).json()
    assert {"base_model:a/b", f"base_model:{relation}:a/b"} <= set(found["tags"])
    assert found["baseModels"]["relation"] == relation


def test_a_dataset_has_the_tags_of_its_card_and_of_its_files(alice: TestClient, commit: Commit) -> None:
    readme = card(
        """
language: ko
license: CC-BY-SA-4.0
task_categories: [text-classification]
size_categories: ["10K<n<100K"]
tags: [klue]
dataset_info: {features: [{name: text, dtype: string}, {name: label, dtype: int64}]}
"""
    )
    commit("alice/bert", {"README.md": readme, "data/train-00000.parquet": b"1"}, type="dataset")
    assert alice.get("/api/datasets/alice/bert").json()["tags"] == [
        *("task_categories:text-classification", "language:ko", "license:cc-by-sa-4.0", "size_categories:10K<n<100K"),
        *("format:parquet", "modality:tabular", "modality:text"),
        *("library:datasets", "library:pandas", "library:polars", "library:mlcroissant"),
        *("arxiv:1810.04805", "klue", "region:us"),
    ]


def test_a_folder_of_images_is_a_dataset_of_images(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"cats/1.jpg": b"1", "dogs/2.JPG": b"2"}, type="dataset")
    tags = alice.get("/api/datasets/alice/bert").json()["tags"]
    assert {"format:imagefolder", "modality:image", "library:datasets"} <= set(tags)


def test_a_space_is_built_with_what_its_card_says(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"README.md": card("sdk: static\ntags: [demo]\nmodels: [alice/bert]")}, type="space")
    found = alice.get("/api/spaces/alice/bert").json()
    assert (found["sdk"], found["tags"], found["models"]) == ("static", ["static", "demo", "region:us"], ["alice/bert"])
    commit("alice/bert", {"README.md": card("sdk: nonsense")}, type="space")
    assert alice.get("/api/spaces/alice/bert").json()["sdk"] == "static"
    commit("alice/bert", {"README.md": card("sdk: static\nmodels: [alice/bert]")}, type="space")
    expanded = alice.get("/api/models/alice/bert", params={"expand": ["spaces", "childrenModelCount"]}).json()
    assert expanded["spaces"] == ["alice/bert"]
    assert expanded["childrenModelCount"] == {"adapter": 0, "finetune": 0, "merge": 0, "quantized": 0}


def test_parameters_are_counted_in_a_large_file(hub: HubForTests, alice: TestClient, commit: Commit) -> None:
    pointer = bring(hub, tensors(a=("F32", [3, 4]), b=("BF16", [5]), c=("F32", [])))
    commit("alice/bert", {"model.safetensors": pointer})
    found = alice.get("/api/models/alice/bert").json()
    assert found["safetensors"] == {"parameters": {"F32": 13, "BF16": 5}, "total": 18}
    assert "safetensors" in found["tags"]
    assert found["usedStorage"] > 100
    commit("alice/bert", {"model.safetensors": None})
    assert "safetensors" not in alice.get("/api/models/alice/bert").json()


def test_parameters_of_shards_are_added_up(hub: HubForTests, alice: TestClient, commit: Commit) -> None:
    shards = {
        "model-1.safetensors": bring(hub, tensors(a=("F16", [7]))),
        "model-2.safetensors": tensors(b=("F16", [2])),
    }
    index = {"metadata": {"total_size": 18}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    commit("alice/bert", {**shards, "model.safetensors.index.json": json.dumps(index).encode()})
    assert alice.get("/api/models/alice/bert").json()["safetensors"] == {"parameters": {"F16": 9}, "total": 9}
    told = alice.get("/api/models/alice/bert/safetensors-metadata/model.safetensors.index.json").json()
    assert told["index"] == {"metadata": {"total_size": 18}}
    assert {name: set(header) for name, header in told["headers"].items()} == {
        **{"model-1.safetensors": {"__metadata__", "a"}, "model-2.safetensors": {"__metadata__", "b"}}
    }
    for path, status in (("missing.json", 404), ("model-2.safetensors", 422)):
        assert alice.get(f"/api/models/alice/bert/safetensors-metadata/{path}").status_code == status


FALSE_HEADERS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"[" * 50_000,
    b'{"a": 1}',
    b'{"a": {"dtype": 1, "shape": [1]}}',
    b'{"a": {"dtype": "F32", "shape": [-1]}}',
    b'{"a": {"dtype": "F32", "shape": [true]}}',
    b'{"a": {"dtype": "F32", "shape": "x"}}',
    b'{"a": {"dtype": "<script>", "shape": [1]}}',
    b'{"a": {"dtype": "F32", "shape": [' + b"9" * 300 + b"]}}",
]


def test_a_false_header_counts_as_none(alice: TestClient, commit: Commit) -> None:
    for header in FALSE_HEADERS:
        assert count_parameters(header) == {}, header[:50]
        commit("alice/bert", {"model.safetensors": struct.pack("<Q", len(header)) + header})
        assert "safetensors" not in alice.get("/api/models/alice/bert").json(), header[:50]


def test_a_header_longer_than_its_file_is_not_read(alice: TestClient, commit: Commit) -> None:
    for length in (0, 5, 2**31, 2**63, 2**64 - 1):
        commit("alice/bert", {"model.safetensors": struct.pack("<Q", length) + b"{}"})
        assert "safetensors" not in alice.get("/api/models/alice/bert").json()


def laughs(levels: int = 12) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int = 12) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}" for level in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "laughs": laughs(),
    "merges": merges(),
    "deep": "a: " + "[" * 20_000,
    "deep maps": "a: " + "{a: " * 20_000,
    "itself": "a: &a [*a]",
    "types": "tags: 1\nlanguage: {a: b}\nlicense: [[x]]\ndatasets: null\nbase_model: 3.5\npipeline_tag: [x]",
    "more types": "library_name: {}\nwidget: 1\nmodel-index: x\nbase_model_relation: [x]\nsdk: {a: b}\nmodels: 1",
    "long": "tags: [" + "x, " * 100_000 + "y]",
    "huge tag": "tags: [" + "x" * 100_000 + "]",
    "numbers": "a: .inf\nb: .nan\nc: 0x" + "f" * 10_000 + "\nd: 1e999\ne: " + "9" * 5000,
    "dates": "a: 2024-01-01\nb: 2024-01-01T00:00:00Z\nc: 9999-99-99",
    "python": "a: !!python/object/apply:os.system [id]",
    "tags of yaml": "a: !!timestamp x\nb: !!int ''\nc: !!bool maybe\nd: !!binary '***'\ne: !!set {x}\nf: !!omap [a: 1]",
    "keys": "1: a\ntrue: b\nnull: c\n? [x, y]\n: d\n2024-01-01: e",
    "unwritable": 'tags: ["a\\0b", "\\ud800", "a\\nb"]\nlicense: "\\udfff"\nlibrary_name: "x\\0"',
    "no yaml": "a: [b\nc: }",
    "text": "just text",
    "list": "- a\n- b",
    "language no": "language: no\ndataset_info: [[{features: x}], {features: [1, {dtype: [x]}]}]",
}


@pytest.mark.parametrize("type", ["model", "dataset", "space"])
def test_no_card_makes_a_push_fail(alice: TestClient, commit: Commit, type: str) -> None:
    for name, front in HOSTILE.items():
        text = f"---\n{front}\n---\nBody\n".encode("utf-8", "surrogatepass")
        oid = commit("alice/bert", {"README.md": text}, type=type)
        answer = alice.get(f"/api/{type}s/alice/bert")
        assert (answer.status_code, answer.json()["sha"]) == (200, oid), name
        assert all(len(tag) < 300 for tag in answer.json()["tags"]), name


CONFIGS = [
    b"\xff\xfe",
    b"[]",
    b"null",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"architectures": "x", "model_type": [1], "auto_map": [], "tokenizer_config": 1}',
    b'{"architectures": [1, null, {"a": 1}, "' + b"x" * 10_000 + b'"], "model_type": "' + b"x" * 10_000 + b'"}',
    b'{"model_type": "\\ud800\\u0000", "architectures": ["\\ud800ForCausalLM"], "chat_template": {"a": 1}}',
    b'{"auto_map": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}",
    b'{"auto_map": {"' + b"x" * 1_000_000 + b'": 1}, "bos_token": {"content": 1}, "mask_token": {"content": 1}}',
    b'{"quantization_config": {"a": NaN, "b": Infinity, "c": ' + b"9" * 4000 + b"}}",
]


def test_no_config_makes_a_push_fail(alice: TestClient, commit: Commit) -> None:
    names = ("config.json", "tokenizer_config.json", "adapter_config.json", "model_index.json")
    for content in CONFIGS:
        oid = commit("alice/bert", {**dict.fromkeys(names, content), "model.safetensors.index.json": content})
        answer = alice.get("/api/models/alice/bert")
        assert (answer.status_code, answer.json()["sha"]) == (200, oid), content[:50]
        assert len(answer.content) < 500_000, content[:50]


def test_the_storage_of_a_repository_is_what_all_its_revisions_hold(
    hub: HubForTests, alice: TestClient, commit: Commit
) -> None:
    before = alice.get("/api/models/alice/bert", params={"expand": "usedStorage"}).json()["usedStorage"]
    commit("alice/bert", {"large.bin": bring(hub, b"x" * 100_000), "small": b"y" * 5000})
    commit("alice/bert", {"large.bin": None, "small": None})
    after = alice.get("/api/models/alice/bert", params={"expand": "usedStorage"}).json()["usedStorage"]
    assert 105_000 < after - before < 110_000
