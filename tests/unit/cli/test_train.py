"""`madang train`: from a YAML file to a trained model, its card and its curve."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import madang
from madang.cli.main import main
from madang.cli.train import RATHER
from madang.cli.training_file import EXAMPLE, KEYS, arguments_of, read_training_file
from madang.cli.training_metrics import tags_scored
from madang.errors import ConfigError, UnknownNameError
from madang.training import EvalPrediction, curve
from tests.unit.pipelines.tiny import bert, byte_level, gpt2, wordpiece

DRAW = curve.draw_curve
EXAMPLES = Path(__file__).parents[3] / "examples" / "train"


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files with short names, a cache of this test, a terminal of 80 places."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "prepared"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("madang.training.curve.draw_curve", lambda history, path: None)  # takes a second


@pytest.fixture
def model() -> str:
    """The folder of a small BERT without a head of use."""
    bert("ForMaskedLM").save_pretrained("bert")
    wordpiece().save_pretrained("bert")
    return "bert"


@pytest.fixture
def news() -> str:
    """40 short texts with one of two topics."""
    rows = [("the cat sat", "animals") if i % 2 else ("Rivers run to the sea", "nature") for i in range(40)]
    lines = ["title,topic", *(f"{text},{topic}" for text, topic in rows)]
    Path("news.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "news.csv"


def written(name: str = "train.yaml", **values: Any) -> str:
    Path(name).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return name


def lines(text: str, name: str = "train.yaml") -> Path:
    Path(name).write_text(text, encoding="utf-8")
    return Path(name)


def json_lines(name: str, rows: list[dict[str, Any]]) -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


def logged(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def train(*argv: str, status: int = 0) -> None:
    assert main(["train", *argv]) == status


SHORT = {"output_dir": "out", "max_steps": 4, "per_device_train_batch_size": 4, "learning_rate": 0.01, "use_cpu": True}

# the whole way --------------------------------------------------------------------------------------------------------


def test_a_model_and_data_are_enough_and_leave_everything(
    model: str, news: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("madang.training.curve.draw_curve", DRAW)
    train(written(model=model, data=news, training={**SHORT, "max_steps": 20}))
    told = capsys.readouterr().out
    assert "text-classification (guessed): 2 classes: animals, nature" in told
    assert "label: topic (guessed)" in told
    assert "36 to learn from, 4 held out" in told
    for name in ("model.safetensors", "tokenizer.json", "README.md", "metrics.jsonl", "curve.png", "training.yaml"):
        assert Path("out", name).is_file(), name
    loaded = madang.AutoModelForSequenceClassification.from_pretrained("out")
    assert loaded.config.id2label == {0: "animals", 1: "nature"}
    answer = madang.pipeline("text-classification", model="out")("the cat sat")[0]
    assert answer["label"] == "animals"
    assert "validation  loss" in told
    assert "accuracy 1.0000" in told


def test_every_line_fits_the_terminal(model: str, news: str, capsys: pytest.CaptureFixture[str]) -> None:
    train(written(model=model, data=news, training=SHORT), "--dry-run")
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80


def test_a_dry_run_shows_the_first_row_and_writes_nothing(
    model: str, news: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train(written(model=model, data=news, training=SHORT), "--dry-run")
    told = capsys.readouterr().out
    assert "4 steps of 4 texts" in told
    assert "[CLS]" in told
    assert "answer" in told
    assert not Path("out").exists()


def test_the_written_file_trains_the_same_again(model: str, news: str) -> None:
    train(written(model=model, data=news, training=SHORT), "--set", "seed=3")
    before = Path("out/model.safetensors").read_bytes()
    train("out/training.yaml", "--output", "again")
    assert Path("again/model.safetensors").read_bytes() == before


def test_secrets_are_not_written(model: str, news: str) -> None:
    train(written(model=model, data=news, training={**SHORT, "hub_token": "hf_secret"}))
    assert all(b"hf_secret" not in path.read_bytes() for path in Path("out").rglob("*") if path.is_file())


def test_numbers_with_a_point_are_regression_on_pairs(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"sentence1": "the cat", "sentence2": "the dog" * (i % 3), "score": i / 4} for i in range(1, 31)]
    rows[4]["score"] = None
    train(written(model=model, data=json_lines("sts.jsonl", rows), training=SHORT))
    told = capsys.readouterr().out
    assert "a number (regression)" in told
    assert "text: sentence1 and sentence2 (guessed)" in told
    assert "rows are left out: a cell is empty" in told
    assert "pearson" in told
    config = madang.AutoConfig.from_pretrained("out")
    assert (config.num_labels, config.problem_type) == (1, "regression")


def test_words_with_tags_are_token_classification(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"tokens": ["Ada", "Lovelace", "met"], "tags": ["B-PER", "I-PER", "O"]} for _ in range(20)]
    train(written(model=model, data=json_lines("ner.jsonl", rows), training={**SHORT, "max_steps": 30}))
    told = capsys.readouterr().out
    assert "token-classification (guessed): 3 tags: O, B-PER, I-PER" in told
    assert "entity f1 1.0000" in told
    assert madang.AutoConfig.from_pretrained("out").id2label == {0: "O", 1: "B-PER", 2: "I-PER"}


def test_only_the_first_token_of_a_word_has_its_tag(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"tokens": ["Lovelace", "met"], "tags": ["B-PER", "O"]} for _ in range(20)]
    train(written(model=model, data=json_lines("ner.jsonl", rows), training=SHORT), "--dry-run")
    told = capsys.readouterr().out
    answer = next(line for line in told.splitlines() if line.startswith("answer")).split()[1:]
    assert answer[:2] == ["·", "B-PER"]  # [CLS], then the first letter
    assert [tag for tag in answer if tag != "·"] == ["B-PER", "O"]


def test_texts_continue_and_long_ones_become_pieces(capsys: pytest.CaptureFixture[str]) -> None:
    gpt2().save_pretrained("gpt2")
    byte_level().save_pretrained("gpt2")
    Path("tales.txt").write_text("the cat sat on the mat and on the log and on the sea\n" * 20, encoding="utf-8")
    train(written(model="gpt2", data={"path": "tales.txt", "max_length": 16}, training=SHORT))
    told = capsys.readouterr().out
    assert "causal-lm (guessed)" in told
    assert "long ones became" in told
    assert "perplexity" in told
    madang.pipeline("text-generation", model="out")("the", max_new_tokens=2)


def test_gaps_are_filled(model: str, news: str, capsys: pytest.CaptureFixture[str]) -> None:
    train(written(model=model, task="masked-lm", data={"path": news, "text": "title"}, training=SHORT))
    assert "perplexity" in capsys.readouterr().out
    assert madang.AutoConfig.from_pretrained("out").architectures == ["BertForMaskedLM"]


def test_an_encoder_that_continues_texts_sees_only_what_came_before(model: str, news: str) -> None:
    train(written(model=model, task="causal-lm", data={"path": news, "text": "title"}, training=SHORT))
    assert madang.AutoConfig.from_pretrained("out").is_decoder


def test_a_text_is_answered_with_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = wordpiece()
    sizes = {"d_model": 24, "d_kv": 8, "d_ff": 20, "num_layers": 1, "num_heads": 3, "decoder_start_token_id": 0}
    madang.T5ForConditionalGeneration(madang.T5Config(vocab_size=len(tokenizer), **sizes)).save_pretrained("t5")
    tokenizer.save_pretrained("t5")
    rows = [{"document": "the cat sat on the mat", "summary": "the cat"} for _ in range(20)]
    train(written(model="t5", data=json_lines("texts.jsonl", rows), training=SHORT))
    told = capsys.readouterr().out
    assert "seq2seq (guessed)" in told
    assert "perplexity" in told


def test_lora_leaves_a_small_file(model: str, news: str, capsys: pytest.CaptureFixture[str]) -> None:
    train(written(model={"name": model, "lora": {"r": 2}}, data=news, training=SHORT))
    assert "of them learn" in capsys.readouterr().out
    assert Path("out/adapter_model.safetensors").is_file()
    assert not Path("out/model.safetensors").exists()
    assert madang.AutoModelForSequenceClassification.from_pretrained("out").config.id2label[0] == "animals"


@pytest.mark.parametrize("task", ["text-classification", "masked-lm"])
def test_the_program_it_writes_ends_with_the_same_weights(task: str, model: str, news: str) -> None:
    file = written(model=model, task=task, data={"path": news, "text": "title"}, training=SHORT)
    train(file, "--to-script", "program/train.py")
    assert not Path("out").exists()
    done = subprocess.run([sys.executable, "train.py"], cwd="program", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    train(file)
    # the program writes where the arguments say, beside itself
    weights = list(Path("program").rglob("model.safetensors"))
    assert Path("out/model.safetensors").read_bytes() in [path.read_bytes() for path in weights]


# rows and classes -----------------------------------------------------------------------------------------------------


def test_a_model_with_the_same_classes_keeps_their_order(news: str) -> None:
    bert("ForSequenceClassification", id2label={0: "nature", 1: "animals"}).save_pretrained("done")
    wordpiece().save_pretrained("done")
    train(written(model="done", data=news, training={**SHORT, "do_train": True}))
    assert madang.AutoConfig.from_pretrained("out").id2label == {0: "nature", 1: "animals"}


def test_a_head_for_other_classes_is_replaced(news: str, capsys: pytest.CaptureFixture[str]) -> None:
    bert("ForSequenceClassification", num_labels=5).save_pretrained("five")
    wordpiece().save_pretrained("five")
    train(written(model="five", data=news, training=SHORT))
    assert "new, to be learned: classifier.weight" in capsys.readouterr().out
    assert madang.AutoConfig.from_pretrained("out").num_labels == 2


def test_whole_numbers_are_classes_in_the_order_of_numbers(model: str) -> None:
    rows = [{"text": "the cat", "label": (2, 10)[i % 2]} for i in range(20)]
    train(written(model=model, data=json_lines("a.jsonl", rows), training=SHORT))
    assert madang.AutoConfig.from_pretrained("out").id2label == {0: "2", 1: "10"}


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({}, "36 to learn from, 4 held out"),
        ({"validation": 0.5}, "20 to learn from, 20 held out"),
        ({"validation": 7}, "33 to learn from, 7 held out"),
        ({"validation": False}, "40 to learn from\n"),
        ({"validation": "other.csv"}, "40 to learn from, 3 held out"),
        ({"limit": 10}, "9 to learn from, 1 held out"),
        ({"split": "train[:20]", "validation": "train[20:]"}, "20 to learn from, 20 held out"),
        ({"validation": 4, "test": "other.csv"}, "36 to learn from, 4 held out, 3 to test with"),
    ],
)
def test_rows_are_held_out_as_the_file_says(
    held: dict[str, Any], told: str, model: str, news: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines("title,topic\nthe cat,animals\nthe sea,nature\nthe dog,animals\n", "other.csv")
    train(written(model=model, data={"path": news, **held}, training=SHORT), "--dry-run")
    assert told in capsys.readouterr().out


def test_a_split_for_validation_is_taken_unasked(model: str, news: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"train": news, "dev": news}
    train(written(model=model, data={"path": "csv", "data_files": files}, training=SHORT), "--dry-run")
    assert "validation: the split" in capsys.readouterr().out


def test_a_test_set_is_measured_at_the_end(model: str, news: str, capsys: pytest.CaptureFixture[str]) -> None:
    train(written(model=model, data={"path": news, "test": news}, training=SHORT))
    assert "test_accuracy" in logged("out")[-1]
    assert "\ntest        loss" in capsys.readouterr().out


def test_do_train_no_only_measures(model: str, news: str, capsys: pytest.CaptureFixture[str]) -> None:
    train(written(model=model, data=news, training={"output_dir": "out", "do_train": "no", "use_cpu": True}))
    assert "validation  loss" in capsys.readouterr().out
    assert not Path("out/model.safetensors").exists()


# the file -------------------------------------------------------------------------------------------------------------


def test_the_example_is_a_file_that_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    train("--example")
    assert capsys.readouterr().out == EXAMPLE
    read_training_file(lines(EXAMPLE))
    # and so are the lines that are only shown
    shown = [
        line[2:] for line in EXAMPLE.splitlines()[3:] if line.startswith(("# metrics", "# seed", "# card", "# task"))
    ]
    inner = ["  " + line.strip()[2:] for line in EXAMPLE.splitlines() if line.startswith("  # ")]
    plain = EXAMPLE.replace("\ntraining:", "\n" + "\n".join(inner) + "\n\ntraining:") + "\n".join(shown)
    assert read_training_file(lines(plain)).section("data")["max_length"] == 128
    assert all(f"{key}:" in EXAMPLE for key in KEYS[""])


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_run(path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = path.parents[1] / "headlines.csv"
    short = [
        "training.max_steps=2",
        "data.limit=40",
        f"data.path={data}",
        "data.max_length=32",
        "training.use_cpu=true",
    ]
    changes = [word for change in (f"model={model}", *short) for word in ("--set", change)]
    if "lora" in path.stem:
        changes[:2] = ["--set", f"model.name={model}"]
    train(str(path), *changes, "--output", "out")
    assert Path("out/README.md").is_file()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: x\ndata:\n  path: y\n  txt: title\n", r"train.yaml, line 4: unknown key 'txt'. Did you mean 'text'\?"),
        ("model: x\ndata: y\nlabel: topic\n", r"line 3: unknown key 'label'. It belongs under data:"),
        ("model: x\ndata: y\nlearning_rate: 1\n", r"line 3: unknown key 'learning_rate'. It belongs under training:"),
        ("model: x\ndata: y\ndata: z\n", r"line 3: data is there twice, first in line 2"),
        ("model: [x\n", r"line 2 is no YAML"),
        ("- a\n", r"should say `model: …`"),
        ("", r"should say `model: …`"),
        ("data: y\n", r"says no model"),
        ("model: x\ndata: y\ntask: classify\n", r"line 3: unknown task 'classify'"),
        ("model: x\ndata: y\ntraining: 3\n", r"line 3: training is a section"),
        ("model: x\ndata: {path: y, limit: 0}\n", r"line 2: data.limit is a whole number above 0, not 0"),
        ("model: x\ndata: {path: y, text: 3}\n", r"data.text is the name of a column"),
        ("model: x\ndata: {path: y, validation: 1.5}\n", r"data.validation is a part"),
        ("model: x\ndata: y\nseed: one\n", r"seed is a whole number, not 'one'"),
        ("model: !!python/object/apply:os.system ['touch ran']\ndata: y\n", r"line 1 is no YAML"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=said):
        read_training_file(lines(text))
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ("learning_rat: 1", r"line 4: unknown training argument 'learning_rat'. Did you mean 'learning_rate'\?$"),
        ("learning_rate: fast", r"line 4: learning_rate is a number, not 'fast'"),
        ("bf16: maybe", r"line 4: training.bf16 is yes or no"),
        ("seed: 2", r"line 4: training.seed is 2, but the file's seed is 1"),
    ],
)
def test_wrong_training_arguments_are_said_with_their_line(training: str, said: str) -> None:
    file = read_training_file(lines(f"model: x\ndata: y\ntraining:\n  {training}\nseed: 1\n"))
    with pytest.raises((ConfigError, ValueError), match=said):
        arguments_of(file)


def test_words_that_yaml_misreads_mean_what_they_say() -> None:
    training = "  learning_rate: 3e-5\n  eval_strategy: no\n  bf16: off\n"
    file = read_training_file(lines(f"model: x\ndata: {{path: y, validation: no}}\ntraining:\n{training}"))
    args = arguments_of(file, **RATHER)
    assert (args.learning_rate, args.eval_strategy, args.bf16) == (3e-5, "no", False)
    assert file.section("data")["validation"] is False


def test_set_changes_one_key_and_leaves_the_rest() -> None:
    path = lines("model: {name: x, dtype: float32}\ndata: y\n")
    file = read_training_file(path, ["training.learning_rate=1e-4", "model=z", "data.text=[a, b]"])
    assert file.section("model") == {"name": "z", "dtype": "float32"}
    assert file.section("data") == {"path": "y", "text": ["a", "b"]}
    assert file.section("training") == {"learning_rate": 1e-4}
    for change, said in (("training", "expected KEY=VALUE"), ("data.txt=a", "Did you mean 'text'")):
        with pytest.raises((ConfigError, UnknownNameError), match=said):
            read_training_file(path, [change])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.text=titel", "Did you mean 'title'?"),
        ("data.label=nothing", "There are: title, topic"),
        ("data.validation=tset", "neither a file nor one of the splits: train"),
        ("data.validation=40", "leaves nothing to learn from"),
        ("data.max_length=999", "takes 64 tokens at most"),
        ("metrics=acuracy", "Did you mean 'accuracy'?"),
        ("model.lora={rank: 8}", "option of LoraConfig 'rank'"),
        ("model.config={hidden: 8}", "Did you mean"),
        ("task=token-classification", "data.label must say which column has the answers"),
    ],
)
def test_what_does_not_fit_the_data_or_the_model_is_one_line(
    change: str, said: str, model: str, news: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train(written(model=model, data=news, training=SHORT), "--set", change, status=1)
    told = capsys.readouterr().err
    assert said in told
    assert told.startswith("madang: ")
    assert len(told.splitlines()) == 1


def test_columns_without_an_answer_ask_for_the_task(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"text": "the cat", "more": "x"} for _ in range(4)]
    config = Path(model, "config.json")
    config.write_text(config.read_text(encoding="utf-8").replace("BertForMaskedLM", "BertModel"), encoding="utf-8")
    train(written(model=model, data=json_lines("a.jsonl", rows), training=SHORT), status=1)
    assert "task must be said: the columns (text, more) do not tell" in capsys.readouterr().err


# stopping and going on ------------------------------------------------------------------------------------------------


def test_interrupted_training_goes_on_to_the_same_weights(
    model: str, news: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the middle of an epoch."""
    file = written(model=model, data=news, training={**SHORT, "max_steps": -1, "num_train_epochs": 2})
    train(file, "--output", "whole")
    step = madang.Trainer.training_step
    calls = []

    def interrupting(self: Any, *args: Any, **given: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *args, **given)

    monkeypatch.setattr(madang.Trainer, "training_step", interrupting)
    train(file, status=130)
    told = capsys.readouterr().err
    assert "stopped after step 5. out/checkpoint-5 is kept; to go on:\n  madang train train.yaml --resume\n" in told
    assert not Path("out/model.safetensors").exists()
    monkeypatch.setattr(madang.Trainer, "training_step", step)
    train(file, "--resume")
    assert Path("out/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()
    assert [entry.get("loss") for entry in logged("out")] == [entry.get("loss") for entry in logged("whole")]


def test_interrupted_twice_it_ends_at_once(
    model: str, news: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupting(self: Any, *args: Any, **given: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not reached")

    monkeypatch.setattr(madang.Trainer, "training_step", interrupting)
    # a shell that runs the tests in the background lets them ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        train(written(model=model, data=news, training=SHORT), status=143)
        assert "No checkpoint was written" in capsys.readouterr().err
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_earlier_checkpoints_are_neither_mixed_nor_lost_unasked(
    model: str, news: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(model=model, data=news, training={**SHORT, "max_steps": -1, "num_train_epochs": 2})
    train(file)
    train(file, status=1)
    assert "out holds checkpoints of an earlier run, the last at step 18." in capsys.readouterr().err
    train(file, "--overwrite", "--set", "training.num_train_epochs=1")
    assert [path.name for path in Path("out").glob("checkpoint-*")] == ["checkpoint-9"]
    train(file, "--resume")
    assert json.loads(Path("out/trainer_state.json").read_text(encoding="utf-8"))["global_step"] == 18


def test_there_is_nothing_to_resume(model: str, news: str, capsys: pytest.CaptureFixture[str]) -> None:
    train("--resume", written(model=model, data=news, training=SHORT), status=1)
    assert "no checkpoint to go on from" in capsys.readouterr().err


def test_without_a_file_it_says_how_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    train(status=1)
    train("missing.yaml", status=1)
    assert capsys.readouterr().err.count("madang train --example >") == 2


def test_a_wrong_key_is_answered_without_torch() -> None:
    lines("model: x\ndata: y\nlabl: z\n")
    code = "import sys; from madang.cli.main import main; print(main(['train', 'train.yaml']), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "1 False\n"


# scores ---------------------------------------------------------------------------------------------------------------


def test_an_entity_counts_when_all_of_it_is_found() -> None:
    tags = {0: "O", 1: "B-PER", 2: "I-PER"}
    labels = torch.tensor([[1, 2, -100, 0], [1, 0, 0, -100]]).numpy()
    guessed = torch.tensor([[1, 2, 2, 0], [1, 2, 0, 1]])
    logits = torch.nn.functional.one_hot(guessed, 3).numpy()
    names = ("entity_f1", "entity_precision", "entity_recall", "token_accuracy")
    scores = tags_scored(names, tags)(EvalPrediction(logits, labels))
    assert scores == {"entity_f1": 0.5, "entity_precision": 0.5, "entity_recall": 0.5, "token_accuracy": 5 / 6}
