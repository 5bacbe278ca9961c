import re
from types import SimpleNamespace

import pytest
import yaml

from madang.training.arguments import TrainingArguments
from madang.training.callbacks import TrainerState
from madang.training.card import BEGIN, END, known_base, log_rows, model_card, refreshed, scores_of, write_card

HISTORY = [
    {"loss": 1.0, "epoch": 0.5, "step": 5},
    {"loss": 0.5, "epoch": 1.0, "step": 10},
    {"eval_loss": 0.75, "eval_accuracy": 0.5, "eval_runtime": 3.0, "epoch": 1.0, "step": 10},
    {"eval_loss": 0.5, "eval_accuracy": 0.75, "epoch": 2.0, "step": 20},
]
METRICS = {"eval_loss": 0.5, "eval_accuracy": 0.75, "eval_runtime": 1.0, "epoch": 2.0}


def card(**given):
    model = given.pop("model", None) or SimpleNamespace(task="sequence-classification", config=None)
    state = TrainerState(epoch=2.0, global_step=20, log_history=given.pop("history", HISTORY))
    args = TrainingArguments(
        "/home/kim/secret", learning_rate=2e-5, hub_token="hf_secret", logging_dir="/home/kim/logs"
    )
    return model_card(**{"name": "kim/news", "model": model, "args": args, "state": state, "metrics": METRICS} | given)


def header_of(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_the_header_says_what_hubs_want_to_know():
    text = card(
        dataset_name="klue/ynat", base_model="klue/bert-base", language="ko", license="mit", tags=["news", "madang"]
    )
    assert header_of(text) == {
        "language": "ko",
        "license": "mit",
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "base_model": "klue/bert-base",
        "datasets": ["klue/ynat"],
        "metrics": ["accuracy"],
        "tags": ["madang", "generated_from_trainer", "news"],
        "model-index": [
            {
                "name": "kim/news",
                "results": [
                    {
                        "task": {"type": "text-classification", "name": "Text classification"},
                        "dataset": {"type": "klue/ynat", "name": "klue/ynat"},
                        "metrics": [
                            {"type": "loss", "value": 0.5, "name": "Loss"},
                            {"type": "accuracy", "value": 0.75, "name": "Accuracy"},
                        ],
                    }
                ],
            }
        ],
    }


def test_hub_clients_read_the_results():
    from huggingface_hub import ModelCard

    found = ModelCard(card()).data
    assert found.pipeline_tag == "text-classification"
    assert [(result.metric_type, result.metric_value) for result in found.eval_results] == [
        ("loss", 0.5),
        ("accuracy", 0.75),
    ]


def test_the_text_has_results_log_arguments_versions_and_use():
    text = card(curve=True, base_model="klue/bert-base", dataset_name=["ynat"])
    assert "| accuracy | 0.7500 |" in text
    assert "| epoch | step | training loss | validation loss | accuracy |" in text
    assert "| 1 | 10 | 0.7500 | 0.7500 | 0.5000 |" in text
    assert "| 2 | 20 | not logged | 0.5000 | 0.7500 |" in text
    assert "](curve.png)" in text
    assert "| `learning_rate` | 2e-05 |" in text
    assert "20 optimizer steps, 2 epochs." in text
    assert re.search(r"- PyTorch \d", text)
    assert "fine-tuned from klue/bert-base on ynat" in text
    assert "마당(Madang)으로 학습한" in text
    assert "curve.png" not in card()


@pytest.mark.parametrize(
    ("task", "tag"),
    [
        ("sequence-classification", "text-classification"), ("token-classification", "token-classification"),
        ("question-answering", "question-answering"), ("masked-language", "fill-mask"),
        ("causal-language", "text-generation"), ("image-classification", "image-classification"),
        ("multiple-choice", "multiple-choice"), ("a-task-of-mine", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_code_is_python_that_names_what_there_is(task, tag, language):
    import madang

    text = card(model=SimpleNamespace(task=task), language=language)
    assert header_of(text).get("pipeline_tag") == tag
    code = text.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert '"kim/news"' in code
    assert hasattr(madang, re.search(r"from madang import (\w+)", code)[1])


def test_neither_paths_nor_secrets_are_told(tmp_path):
    local = tmp_path / "owner" / "model"
    local.mkdir(parents=True)
    text = card(model=SimpleNamespace(task=None, name_or_path=str(local)))
    for secret in ("hf_secret", "/home/kim", str(tmp_path)):
        assert secret not in text


def test_the_base_is_known_when_it_is_a_repository(tmp_path, monkeypatch):
    (tmp_path / "results" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert known_base(SimpleNamespace(name_or_path="klue/bert-base")) == "klue/bert-base"
    assert known_base(SimpleNamespace(config=SimpleNamespace(_name_or_path="klue/bert-base"))) == "klue/bert-base"
    for local in ("results/model", "/tmp/model", "", None):
        assert known_base(SimpleNamespace(name_or_path=local)) is None


NASTY = "a | b\n---\n# <script>alert(1)</script> [x](javascript:y) `c` $z$ & ``` " + END


def test_names_of_others_are_text_and_nothing_else():
    MarkdownIt = pytest.importorskip("markdown_it").MarkdownIt
    labels = SimpleNamespace(id2label={0: NASTY, 1: "정치"})
    text = card(
        name=NASTY, dataset_name=NASTY, base_model=NASTY, language=NASTY, license=NASTY, tags=[NASTY],
        metrics={f"eval_{NASTY}": 0.5}, history=[{f"eval_{NASTY}": 0.5, "step": 1}],
        model=SimpleNamespace(task="sequence-classification", config=labels),
    )  # fmt: skip
    header = header_of(text)
    assert {header["license"], header["tags"][-1], header["language"]} == {" ".join(NASTY.split())}
    assert "datasets" not in header
    assert "base_model" not in header
    body = text[text.index("\n---\n", 4) + 5 :]
    assert body.count(END) == body.count(BEGIN) == 1
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(body)
    inner = [child.type for token in tokens for child in token.children or ()]
    assert "link_open" not in inner
    assert "html_inline" not in inner
    assert [token.content.strip() for token in tokens if token.type == "html_block"] == [BEGIN, END]
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1", "h2", "h2", "h2", "h2"]
    rows = [token for token in tokens if token.type == "tr_open"]
    assert len(rows) == len([line for line in body.splitlines() if line.startswith("| ") and "---" not in line[:6]])


def test_scores_leave_out_times_and_what_is_no_number():
    metrics = METRICS | {"eval_nan": float("nan"), "eval_flag": True, "eval_text": "x", "test_f1": 1}
    assert scores_of(metrics) == {"loss": 0.5, "accuracy": 0.75, "f1": 1}


def test_a_row_has_the_mean_loss_since_the_row_before_and_its_own_evaluation():
    history = [{"loss": 4.0, "step": 2}, {"loss": 1.0, "step": 3}, {"eval_f1": 0.5, "eval_loss": 2.0, "step": 3}]
    history += [{"loss": 0.5, "step": 6}, {"eval_loss": 1.0, "step": 6}, {"eval_loss": 9.0, "eval_f1": 0.25, "step": 6}]
    first, second = log_rows(history)
    assert list(first.items()) == [
        ("epoch", "0"), ("step", "3"), ("training loss", "3.0000"), ("validation loss", "2.0000"), ("f1", "0.5000"),
    ]  # fmt: skip
    assert (second["training loss"], second["validation loss"]) == ("0.5000", "1.0000")


def test_a_log_without_evaluations_has_a_row_for_every_log():
    assert log_rows(HISTORY[:2]) == [
        {"epoch": "0.5", "step": "5", "training loss": "1.0000"},
        {"epoch": "1", "step": "10", "training loss": "0.5000"},
    ]


def test_a_long_log_is_thinned_to_30_rows_from_first_to_last():
    text = card(history=[{"loss": 1.0, "epoch": 0.1, "step": step} for step in range(1, 1001)])
    steps = [int(row[1]) for row in re.findall(r"^\| ([\d.]+) \| (\d+) \| 1.0000 \|$", text, re.MULTILINE)]
    assert (len(steps), steps[0], steps[-1]) == (30, 1, 1000)


def test_without_metrics_there_are_no_results():
    text = card(metrics={}, history=[])
    assert "## Results" not in text
    assert "model-index" not in header_of(text)


class TestWriting:
    def read(self, folder):
        return (folder / "README.md").read_text(encoding="utf-8")

    def test_a_card_of_ours_is_brought_up_to_date(self, tmp_path):
        write_card(tmp_path, card())
        newer = card(metrics={"eval_loss": 0.25})
        write_card(tmp_path, newer)
        assert "| loss | 0.2500 |" in self.read(tmp_path)
        assert "accuracy | 0.7500" not in self.read(tmp_path).split("## Training")[0]
        assert header_of(self.read(tmp_path))["model-index"] == header_of(newer)["model-index"]

    def test_the_same_card_again_changes_nothing(self, tmp_path):
        write_card(tmp_path, card())
        before = self.read(tmp_path)
        write_card(tmp_path, card())
        assert self.read(tmp_path) == before

    def test_what_the_user_wrote_into_it_stays(self, tmp_path):
        write_card(tmp_path, card())
        text = self.read(tmp_path).replace("# kim/news", "# 뉴스\n\nMy words.")
        text = text.replace("library_name:", "# a comment\nlicense: mit\nlibrary_name:") + "\nMore of mine.\n"
        (tmp_path / "README.md").write_text(text, encoding="utf-8")
        write_card(tmp_path, card(license="apache-2.0", metrics={"eval_loss": 0.25}))
        after = self.read(tmp_path)
        assert "# 뉴스\n\nMy words." in after
        assert after.endswith("\nMore of mine.\n")
        assert "# a comment\nlicense: mit\n" in after
        assert header_of(after)["license"] == "mit"
        assert "| loss | 0.2500 |" in after

    def test_a_readme_of_the_users_own_stays_and_gets_the_block_at_its_end(self, tmp_path):
        mine = "---\nlicense: mit  # checked\nmodel-index: mine\n---\n# My model\n\nText.\n"
        (tmp_path / "README.md").write_text(mine, encoding="utf-8")
        for _ in range(2):
            write_card(tmp_path, card())
        after = self.read(tmp_path)
        assert after.startswith("---\nlicense: mit  # checked\n")
        assert "# My model\n\nText.\n\n" + BEGIN in after
        assert after.count(BEGIN) == 1
        assert header_of(after)["pipeline_tag"] == "text-classification"

    def test_a_readme_without_header_gets_one(self):
        after = refreshed("# Mine\n", card())
        assert header_of(after)["library_name"] == "transformers"
        assert "# Mine\n\n" + BEGIN in after

    def test_a_header_that_cannot_be_read_is_left_alone(self):
        mine = "---\na: [\n---\n# Mine\n"
        assert refreshed(mine, card()).startswith("---\na: [\n---\n# Mine\n\n" + BEGIN)
