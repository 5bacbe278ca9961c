"""pipeline(): which task, which model, which tokenizer, and what is refused."""

import subprocess
import sys

import pytest

import madang
from madang.errors import InputError, UnknownNameError, WrongTypeError
from madang.pipelines import pipeline
from madang.pipelines.pipeline import OTHER_NAMES, TASKS
from tests.unit.pipelines import tiny


@pytest.fixture(scope="module")
def saved(tmp_path_factory, words):
    folder = tmp_path_factory.mktemp("saved")
    tiny.bert("ForTokenClassification", id2label=tiny.LABELS).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def test_every_task_has_its_class_under_its_public_name():
    import madang.pipelines

    for task, place in TASKS.items():
        assert getattr(madang.pipelines, place.name).task == task
    assert set(OTHER_NAMES.values()) <= set(TASKS)


def test_an_unknown_task_names_the_nearest_and_lists_all():
    with pytest.raises(
        UnknownNameError, match=r"'text-clasification'. Did you mean 'text-classification'\?.*fill-mask"
    ):
        pipeline("text-clasification", model="x")
    with pytest.raises(UnknownNameError, match="unknown task 'summarization'"):
        pipeline("summarization", model="x")


def test_without_a_model_the_error_says_how_to_name_one():
    with pytest.raises(InputError, match=r"pipeline\('ner', model=…\)"):
        pipeline("ner")


def test_the_task_is_told_by_the_config_or_the_model(saved, words):
    assert pipeline(model=str(saved)).task == "token-classification"
    assert pipeline(model=tiny.bert("ForMaskedLM"), tokenizer=words).task == "fill-mask"
    assert pipeline(model=tiny.bert(""), tokenizer=words).task == "feature-extraction"


def test_a_model_whose_task_has_no_pipeline_asks_for_the_task(words):
    with pytest.raises(InputError, match="BertForMultipleChoice"):
        pipeline(model=tiny.bert("ForMultipleChoice"), tokenizer=words)


def test_a_folder_brings_its_own_tokenizer_and_a_loaded_model_too(saved):
    by_name = pipeline("ner", model=saved)
    loaded = madang.AutoModelForTokenClassification.from_pretrained(saved)
    assert pipeline("ner", model=loaded)(tiny.SENTENCES[0]) == by_name(tiny.SENTENCES[0])
    assert pipeline("ner", model=loaded, tokenizer=str(saved))(tiny.SENTENCES[0]) == by_name(tiny.SENTENCES[0])


def test_a_model_from_nowhere_needs_a_tokenizer():
    with pytest.raises(InputError, match="pass tokenizer="):
        pipeline("ner", model=tiny.bert("ForTokenClassification"))


def test_a_model_with_another_head_is_refused_by_name(words):
    with pytest.raises(InputError, match=r"BertForMaskedLM: it has a head for masked-language.*AutoModelForTokenClass"):
        pipeline("ner", model=tiny.bert("ForMaskedLM"), tokenizer=words)
    with pytest.raises(WrongTypeError, match="of type dict"):
        pipeline("ner", model={}, tokenizer=words)


def test_familiar_arguments_are_taken(saved):
    import torch

    pipe = pipeline(
        "ner", model=saved, framework="pt", use_fast=True, num_workers=2, device=-1, torch_dtype=torch.bfloat16
    )
    assert pipe.model.dtype == torch.bfloat16
    assert pipeline("ner", model=saved, device_map="auto", device="cpu").device.type == "cpu"
    assert pipeline("ner", model=saved, config=str(saved), trust_remote_code=True).task == "token-classification"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"framework": "tf"}, "PyTorch only"),
        ({"device": "gpu9"}, "no device"),
        ({"image_processor": "x"}, "text only"),
        ({"top_k": 0}, "top_k"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_is_not_possible_is_an_error(saved, words, wrong, said):
    model = tiny.bert("ForSequenceClassification")
    with pytest.raises((InputError, UnknownNameError), match=said):
        pipeline("text-classification", model=model, tokenizer=words, **wrong)


def test_importing_pipelines_loads_no_torch():
    code = "import sys, madang.pipelines; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
