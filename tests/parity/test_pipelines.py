"""Our pipelines beside those of transformers 4.40.1, with models and tokenizers made and saved here: the same answers.

Needs MADANG_REFERENCE_4, an interpreter that has it; one process of it answers all cases.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.parity.pipelines_observed import observe

REFERENCE = os.environ.get("MADANG_REFERENCE_4", "")
SCRIPT = Path(__file__).with_name("pipelines_observed.py")

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(
        not Path(REFERENCE).is_file(),
        reason="needs MADANG_REFERENCE_4, a Python with transformers 4.40.1: `make test` installs one",
    ),
]

ADA = "Ada Lovelace met Charles Babbage in London, in 1833."
CAT = "the cat sat on the mat and the dog sat on the log"
SEOUL = "서울에서 열린 회의에 김연아 선수가 참석했다"
LONG = " ".join([ADA, CAT, SEOUL, "Rivers run to the sea; the sea is not full."])
WHO = "who met Charles"


def case(task, model, *arguments, options=None, **call):
    """One call of one pipeline."""
    return {"task": task, "model": model, "options": options or {}, "arguments": list(arguments), "call": call}


def classification():
    """Both shapes of answers, all functions, pairs, and the older option."""
    for model in ("classes", "several", "one", "decoder"):
        yield case("text-classification", model, ADA)
        yield case("sentiment-analysis", model, [ADA, CAT, SEOUL])
        yield case("text-classification", model, ADA, top_k=None)
        yield case("text-classification", model, [ADA], top_k=2)
        yield case("text-classification", model, [ADA, CAT], top_k=1)
        yield case("text-classification", model, ADA, function_to_apply="none")
        yield case("text-classification", model, ADA, function_to_apply="sigmoid")
        yield case("text-classification", model, ADA, options={"return_all_scores": True})
        yield case("text-classification", model, [ADA, CAT], options={"return_all_scores": True})
        yield case("text-classification", model, ADA, options={"top_k": None})
        yield case("text-classification", model, [])
    yield case("text-classification", "classes", {"text": ADA, "text_pair": CAT})
    yield case("text-classification", "classes", [{"text": ADA, "text_pair": CAT}, {"text": CAT}])
    yield case("text-classification", "classes", LONG * 3, truncation=True)
    yield case("text-classification", "classes", [LONG], truncation=True, max_length=9)


def entities():
    """Every strategy, with labels that begin and go on, and what is ignored."""
    for strategy in ("none", "simple", "first", "average", "max"):
        yield case("ner", "tokens", ADA, options={"aggregation_strategy": strategy})
        yield case("token-classification", "tokens", [CAT, SEOUL, ADA], aggregation_strategy=strategy)
        yield case("ner", "tokens", ADA, aggregation_strategy=strategy, ignore_labels=[])
        yield case("ner", "plain labels", [CAT, ADA], aggregation_strategy=strategy, ignore_labels=["A"])
    yield case("ner", "tokens", ADA, options={"grouped_entities": True})
    yield case("ner", "tokens", ADA, options={"grouped_entities": True, "ignore_subwords": True})
    yield case("ner", "tokens", "the ☃ sat")


def questions():
    """One and many, windows, several answers, none."""
    for call in (
        {},
        {"top_k": 4},
        {"max_answer_len": 2, "top_k": 3},
        {"max_seq_len": 48, "doc_stride": 8},
        {"max_seq_len": 40, "doc_stride": 12, "top_k": 5},
        {"align_to_words": False, "top_k": 2},
        {"handle_impossible_answer": True, "top_k": 3},
    ):
        yield case("question-answering", "answers", question=WHO, context=LONG, **call)
        yield case("question-answering", "answers", question=[WHO, CAT], context=[ADA, SEOUL], **call)
        yield case("question-answering", "answers", {"question": WHO, "context": ADA}, **call)
    yield case("question-answering", "answers", [{"question": WHO, "context": ADA}])
    yield case("question-answering", "answers", question=[WHO, CAT], context=ADA)


def gaps():
    """One gap, several, chosen words."""
    yield case("fill-mask", "gaps", "the [MASK] sat.")
    yield case("fill-mask", "gaps", ["the [MASK] sat."], top_k=2)
    yield case("fill-mask", "gaps", ["the [MASK] sat .", f"{ADA} [MASK]"], top_k=3)
    yield case("fill-mask", "gaps", "the [MASK] sat on [MASK]", top_k=3)
    yield case("fill-mask", "gaps", "the [MASK] sat", targets=["cat", "dog", "the"])
    yield case("fill-mask", "gaps", "the [MASK] sat", options={"top_k": 2, "targets": "cat"})


def features():
    """All hidden states."""
    yield case("feature-extraction", "body", ADA)
    yield case("feature-extraction", "body", [ADA, CAT])
    yield case("feature-extraction", "body", LONG * 3, truncation=True)


def continuations():
    """Greedy, so that they can be equal."""
    for call in ({}, {"return_full_text": False}, {"return_tensors": True}, {"prefix": "Rivers "}):
        yield case("text-generation", "decoder language", "the cat", max_new_tokens=7, do_sample=False, **call)
        yield case("text-generation", "decoder language", [ADA, "a", CAT], max_new_tokens=7, do_sample=False, **call)
    yield case("text-generation", "decoder language", "the dog", max_length=12, do_sample=False)
    yield case("text-generation", "decoder language", CAT * 2, max_new_tokens=9, handle_long_generation="hole")


CASES = [*classification(), *entities(), *questions(), *gaps(), *features(), *continuations()]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """(theirs, ours), one entry a case."""
    import torch

    from madang import pipeline
    from tests.unit.pipelines import tiny

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("pipelines")
    words, pieces = tiny.wordpiece(), tiny.byte_level()
    pieces.pad_token = pieces.eos_token
    models = {
        "classes": (tiny.bert("ForSequenceClassification", num_labels=3), words),
        "several": (
            tiny.bert("ForSequenceClassification", num_labels=4, problem_type="multi_label_classification"),
            words,
        ),
        "one": (tiny.bert("ForSequenceClassification", num_labels=1), words),
        "decoder": (tiny.gpt2("ForSequenceClassification", num_labels=3, pad_token_id=0), pieces),
        "tokens": (tiny.bert("ForTokenClassification", id2label=tiny.LABELS), words),
        "plain labels": (tiny.bert("ForTokenClassification", id2label={0: "A", 1: "B", 2: "A-B"}), words),
        "answers": (tiny.bert("ForQuestionAnswering"), words),
        "gaps": (tiny.bert("ForMaskedLM"), words),
        "body": (tiny.bert(""), words),
        "decoder language": (tiny.gpt2(), pieces),
    }
    for name, (model, tokenizer) in models.items():
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    cases = [{**case, "model": str(root / case["model"])} for case in CASES]
    (root / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    command = [REFERENCE, str(SCRIPT), str(root / "cases.json"), str(root / "answers.json")]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 0, said.stderr[-4000:]
    return json.loads((root / "answers.json").read_text(encoding="utf-8")), observe(pipeline, cases)


def assert_same(theirs, ours, path=""):
    """Equal in shape, keys, words and numbers; scores and hidden states within 1e-5."""
    if isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=1e-5), path
    elif isinstance(theirs, dict):
        assert isinstance(ours, dict), path
        assert sorted(theirs) == sorted(ours), path
        for name, value in theirs.items():
            assert_same(value, ours[name], f"{path}.{name}")
    elif isinstance(theirs, list):
        assert isinstance(ours, list), path
        assert len(theirs) == len(ours), path
        for index, (their, our) in enumerate(zip(theirs, ours, strict=True)):
            assert_same(their, our, f"{path}[{index}]")
    else:
        assert ours == theirs, path


def short(case):
    """What a case is about, in a line."""
    told = {
        **case["options"],
        **{name: value for name, value in case["call"].items() if name not in ("question", "context")},
    }
    return "-".join([case["task"], case["model"], *(f"{name}={value}" for name, value in told.items())]).replace(
        " ", "_"
    )


@pytest.mark.parametrize("index", range(len(CASES)), ids=[f"{index}-{short(case)}" for index, case in enumerate(CASES)])
def test_the_answer_is_that_of_the_reference(index, answers):
    theirs, ours = answers
    assert_same(theirs[index], ours[index])
