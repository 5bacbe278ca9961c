import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from madang import metrics
from madang.datasets import Dataset
from madang.metrics import ClassScores
from madang.testing import tiny_model
from madang.training import DataCollatorForTokenClassification, Trainer
from madang.training.prediction import predictions_of
from tests.unit.training.tiny import TinyClassifier, TinyTagger, TinyTokenizer, examples, tagged

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tokens():
    return DataCollatorForTokenClassification(TinyTokenizer())


class Adds:
    """What objects of other packages look like: classes, batch by batch."""

    def __init__(self):
        self.right = self.all = 0
        self.batches = []

    def add_batch(self, *, predictions, references):
        self.batches.append(len(references))
        self.right += (predictions == references).sum()
        self.all += len(references)

    def compute(self):
        return {"accuracy": self.right / self.all}


class Wide(nn.Module):
    """Logits of 256 KB per row."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2**16))

    def forward(self, values, labels=None):
        logits = values * self.weight
        return (logits.mean(), logits) if labels is not None else (logits,)


class TestStreaming:
    def test_an_object_that_adds_up_needs_no_argument_and_no_prediction_is_kept(self, make_trainer, monkeypatch):
        rows, metric = Dataset.from_list(examples(11)), Adds()
        trainer = make_trainer(
            {"per_device_eval_batch_size": 4},
            compute_metrics=metric,
            preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1),
        )
        with monkeypatch.context() as context:
            context.setattr("madang.training.gathered.Gathered.add", lambda *given: pytest.fail("kept"))
            found = trainer.evaluate(rows)
        predictions, labels, _ = trainer.predict(rows)
        assert found["eval_accuracy"] == (predictions == labels).mean()
        assert metric.batches[:3] == [4, 4, 3]

    def test_scores_of_ours_take_the_most_likely_class_alone(self, make_trainer, tokens, monkeypatch):
        rows, added, add = Dataset.from_list(tagged(13)), [], ClassScores.add_batch
        monkeypatch.setattr(
            ClassScores, "add_batch", lambda self, **given: added.append(given["predictions"]) or add(self, **given)
        )
        given = {"per_device_eval_batch_size": 4}
        trainer = make_trainer(given, model=TinyTagger(), data_collator=tokens, compute_metrics=ClassScores())
        found = trainer.evaluate(rows)
        assert [array.ndim for array in added] == [2] * 4  # and not the logits' 3
        logits, labels, _ = make_trainer(model=trainer.model, data_collator=tokens).predict(rows)
        kept = labels != -100
        expected = labels[kept], logits.argmax(-1)[kept]
        assert found["eval_accuracy"] == pytest.approx(metrics.accuracy(*expected))
        assert found["eval_f1"] == pytest.approx(metrics.f1(*expected))

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_function_called_per_batch_is_told_which_one_is_the_last(self, make_trainer, stream):
        seen = []

        def compute(prediction, compute_result):
            assert all(isinstance(each, torch.Tensor) for each in prediction)
            seen.append((len(prediction.label_ids), compute_result))
            return {"rows": sum(count for count, _ in seen)} if compute_result else {}

        rows = Dataset.from_list(examples(10))
        trainer = make_trainer({"per_device_eval_batch_size": 4, "batch_eval_metrics": True}, compute_metrics=compute)
        found = trainer.evaluate(rows.to_iterable_dataset() if stream else rows)
        assert seen == [(4, False), (4, False), (2, True)]
        assert found["eval_rows"] == 10

    def test_predict_keeps_predictions_though_its_metrics_stream(self, make_trainer):
        result = make_trainer(compute_metrics=ClassScores("accuracy")).predict(Dataset.from_list(examples(10)))
        assert result.predictions.shape == (10, 3)  # logits, and not the classes that evaluating makes of them
        assert result.metrics["test_accuracy"] == (result.predictions.argmax(-1) == result.label_ids).mean()

    def test_nothing_is_kept_when_only_the_loss_is_asked_for(self, make_trainer, monkeypatch):
        monkeypatch.setattr("madang.training.gathered.Gathered.add", lambda *given: pytest.fail("kept"))
        rows = Dataset.from_list(examples(5))
        called = []
        trainer = make_trainer({"prediction_loss_only": True}, compute_metrics=called.append)
        assert "eval_loss" in trainer.evaluate(rows)
        result = trainer.predict(rows)
        assert (result.predictions, result.label_ids, called) == (None, None, [])
        assert "test_loss" in result.metrics


class TestMemory:
    """P15: evaluating held all logits, on the GPU and then in memory, until its end."""

    @pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
    @pytest.mark.parametrize("kind", ["function", "streaming", "loss", "different widths"])
    def test_p15_the_memory_of_evaluating_does_not_grow_with_the_rows(self, make_trainer, kind):
        highest = [0]

        def held():
            lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
            return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024

        class Watched(Trainer):
            def prediction_step(self, *given, **more):
                highest[0] = max(highest[0], held())
                return super().prediction_step(*given, **more)

        def size(prediction):
            highest[0] = max(highest[0], held())
            logits = prediction.predictions
            return {"megabytes": logits.nbytes / 2**20, "last": float(logits[-1, 0])}

        class Adding(Adds):
            def add_batch(self, *, predictions, references):
                self.all += predictions.nbytes / 2**20

            def compute(self):
                found, self.all = self.all, 0
                return {"megabytes": found}

        def cut(logits, labels):  # every other batch is one narrower
            return logits[:, int(labels[0]) :]

        compute = {"function": size, "different widths": size, "streaming": Adding(), "loss": None}[kind]
        parts = {"preprocess_logits_for_metrics": cut} if kind == "different widths" else {}
        trainer = make_trainer(
            {"per_device_eval_batch_size": 4},
            Watched,
            model=Wide(),
            tokenizer=None,
            data_collator=lambda rows: {
                name: torch.tensor([row[name] for row in rows]).float() for name in ("values", "labels")
            },
            compute_metrics=compute,
            **parts,
        )
        rows = [{"values": [float(number)], "labels": number // 4 % 2} for number in range(800)]
        trainer.evaluate(rows[:8])
        highest[0], before = 0, held()
        found = trainer.evaluate(rows)
        assert found.get("eval_megabytes", 200) == pytest.approx(200, abs=0.1)
        assert highest[0] - before < 40

    def test_predictions_may_leave_the_device_several_batches_at_a_time(self, make_trainer, monkeypatch):
        from madang.training import prediction

        order, real = [], prediction.to_numpy
        monkeypatch.setattr(prediction, "to_numpy", lambda value: order.append("moved") or real(value))

        class Watched(Trainer):
            def prediction_step(self, *given, **more):
                order.append("batch")
                return super().prediction_step(*given, **more)

        rows = Dataset.from_list(examples(10))
        given = {"per_device_eval_batch_size": 2, "eval_accumulation_steps": 2}
        several = make_trainer(given, Watched).predict(rows)
        moved = [i for i, what in enumerate(order) if what == "moved"]
        assert order[:2] == ["batch", "batch"]
        assert order.count("batch") == 5
        assert len(moved) == 5 * 2  # logits and labels
        assert order[2:6] == ["moved"] * 4
        np.testing.assert_allclose(several.predictions, make_trainer().predict(rows).predictions, atol=1e-6)


class TestWhatIsKept:
    def test_metrics_get_inputs_and_losses_when_asked(self, make_trainer):
        seen = []
        rows = Dataset.from_list(examples(5))
        given = {"per_device_eval_batch_size": 2, "include_for_metrics": ["inputs", "loss"]}
        trainer = make_trainer(given, compute_metrics=lambda prediction: seen.append(prediction) or {})
        found = trainer.evaluate(rows)
        logits, labels, inputs, losses = seen[0]
        assert (logits.shape, labels.shape, losses.shape) == ((5, 3), (5,), (5,))
        assert losses[0] == losses[1] != losses[2]
        assert losses.mean() == pytest.approx(found["eval_loss"])
        for row, text in zip(inputs.tolist(), rows["input_ids"], strict=True):
            assert [each for each in row if each not in (0, -100)] == text
        older = make_trainer({"include_inputs_for_metrics": True}, compute_metrics=lambda p: {"parts": len(tuple(p))})
        assert older.evaluate(rows)["eval_parts"] == 3

    def test_several_label_columns_come_as_a_tuple(self, make_trainer):
        rows = [{"input_ids": [5, 6, 7], "start_positions": 1, "end_positions": 2}] * 3
        result = make_trainer(model=tiny_model("bert", "question-answering")).predict(Dataset.from_list(rows))
        assert [array.shape for array in result.predictions] == [(3, 3), (3, 3)]
        assert [array.tolist() for array in result.label_ids] == [[1] * 3, [2] * 3]

    def test_labels_may_be_called_otherwise(self, make_trainer):
        class Own(TinyClassifier):
            label_names = None
            input_names = ("input_ids", "attention_mask", "topic")
            count_targets = None

            def forward(self, input_ids, attention_mask=None, topic=None):
                return super().forward(input_ids, attention_mask, topic, num_items_in_batch=len(input_ids))

        rows = Dataset.from_list(examples(5)).rename_column("label", "topic")
        result = make_trainer({"label_names": ["topic"]}, model=Own()).predict(rows)
        assert result.label_ids.tolist() == rows["topic"]
        assert "test_loss" in result.metrics

    @pytest.mark.parametrize("kind", ["tuple", "dict", "bare"])
    def test_what_a_module_of_ones_own_returns_is_taken_as_it_is(self, make_trainer, kind):
        class Own(TinyClassifier):
            count_targets = None

            def forward(self, input_ids, attention_mask=None, labels=None):
                logits, pair = super().forward(input_ids)["logits"], (input_ids[:, :1], input_ids[:, :2])
                loss = logits.mean()
                if kind == "dict":
                    return {"loss": loss, "logits": logits, "pair": pair, "nothing": None}
                given = (logits, pair) if kind == "tuple" else logits
                if labels is None:
                    return given
                return (loss, *given) if kind == "tuple" else (loss, logits)

        for rows in (Dataset.from_list(examples(5)), Dataset.from_list(examples(5)).remove_columns("label")):
            predictions = make_trainer({"per_device_eval_batch_size": 2}, model=Own()).predict(rows).predictions
            if kind == "bare":
                assert predictions.shape == (5, 3)
            else:
                assert predictions[0].shape == (5, 3)
                assert [part.shape for part in predictions[1]] == [(5, 1), (5, 2)]

    def test_keys_can_be_left_out(self):
        outputs = {"loss": torch.ones(()), "logits": torch.ones(2), "scores": torch.zeros(2), "cache": object()}
        assert isinstance(predictions_of(outputs, after_loss=True), tuple)
        assert predictions_of(outputs, after_loss=True, ignore_keys=["scores"]) is not None
        assert torch.equal(predictions_of(outputs, after_loss=True, ignore_keys=["scores"]), torch.ones(2))

    def test_what_a_model_computes_on_the_way_is_left_out_unless_it_is_asked_for(self, make_trainer):
        rows = Dataset.from_list([{"input_ids": [5, 6, 7], "labels": [5, 6]}] * 3)
        trainer = make_trainer(model=tiny_model("t5", "sequence-to-sequence-language"))
        assert trainer.predict(rows).predictions.shape == (3, 2, 61)
        logits, encoded = trainer.predict(rows, ignore_keys=[]).predictions
        assert (logits.shape, encoded.shape) == ((3, 2, 61), (3, 3, 24))
        states = tiny_model("bert", output_hidden_states=True)
        plain = {"input_ids": rows.remove_columns("labels")["input_ids"]}
        kept = make_trainer({}, model=states).predict(Dataset.from_dict(plain)).predictions
        assert kept is not None

    def test_a_function_may_change_labels_in_place(self, make_trainer, tokens, monkeypatch):
        monkeypatch.setattr("madang.training.gathered.IN_MEMORY", 0)

        def compute(prediction):
            labels = prediction.label_ids
            labels[labels == -100] = 0
            return {"least": labels.min()}

        trainer = make_trainer(model=TinyTagger(), data_collator=tokens, compute_metrics=compute)
        assert trainer.evaluate(Dataset.from_list(tagged(9)))["eval_least"] == 0


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What came of the same evaluations on one process, and on each of two."""
    folder = tmp_path_factory.mktemp("together")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    command = [sys.executable, "-m", "tests.unit.training.evaluating_together", str(folder)]
    places = [{}] + [{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"} for rank in range(2)]
    started = [
        subprocess.Popen(command, env={**common, **place}, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for place in places
    ]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    return [json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("1-0", "2-0", "2-1")]


class TestSeveralProcesses:
    def test_everybody_gets_the_metrics_of_one_process_and_the_main_one_computes_them(self, found):
        alone, main, other = found
        assert main["metrics"].pop("eval_sum") == pytest.approx(alone["metrics"].pop("eval_sum"), abs=1e-5)
        other["metrics"].pop("eval_sum")
        for each in (main, other):
            assert each["metrics"].pop("eval_loss") == pytest.approx(alone["metrics"]["eval_loss"], abs=1e-6)
            assert each["metrics"]["eval_labels"] == alone["metrics"]["eval_labels"]
        assert main["metrics"] == other["metrics"]
        assert (alone["called"], main["called"], other["called"]) == ([9], [9], [])
        for one, several in zip(alone["metrics"]["eval_inputs"], main["metrics"]["eval_inputs"], strict=True):
            # each process pads its part of a batch to its own longest text
            assert [token for token in one if token > 0] == [token for token in several if token > 0]

    def test_speed_is_that_of_all_processes_and_the_same_everywhere(self, found):
        for each in found:
            assert each["speed"] == pytest.approx(9, rel=0.05)
            assert each["same speed"] == 1

    @pytest.mark.parametrize("rows", ["tokens", "stream", "foreign stream", "short", "short stream"])
    def test_everybody_gets_the_predictions_in_the_order_of_the_rows(self, found, rows):
        (expected, labels, numbers), *others = (each[rows] for each in found)
        for predictions, theirs, measured in others:
            assert theirs == labels
            real = np.asarray(labels) != -100  # each process pads its part to its own longest text
            np.testing.assert_allclose(np.asarray(predictions)[real], np.asarray(expected)[real], atol=1e-5)
            assert measured["test_loss"] == pytest.approx(numbers["test_loss"], abs=1e-6)

    def test_metrics_that_stream_see_every_row_once(self, found):
        alone, main, other = found
        assert alone["by batch called"] == main["by batch called"] == [4, 4, 1]
        assert other["by batch called"] == []
        assert (
            alone["by batch"]["eval_batches"] == main["by batch"]["eval_batches"] == other["by batch"]["eval_batches"]
        )
        for name, value in alone["adding up"].items():
            assert main["adding up"][name] == other["adding up"][name] == pytest.approx(value, abs=1e-6)
