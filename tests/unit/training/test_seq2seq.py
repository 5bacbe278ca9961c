import json
import random

import numpy as np
import pytest
import torch

import madang
from madang import GenerationConfig
from madang.datasets import Dataset
from madang.errors import InputError, MissingFileError, UnknownNameError
from madang.testing import tiny_model
from madang.training import DataCollatorForSeq2Seq, Seq2SeqTrainer, Seq2SeqTrainingArguments, Trainer, set_seed
from tests.unit.training.tiny import TinyClassifier, TinyTokenizer

LETTERS = 12  # tokens 4 to 15; 0 pads and starts, 1 ends


def pairs(count, longest=4, seed=0):
    """Texts and the same texts backwards."""
    drawn = random.Random(seed)
    texts = [[drawn.randrange(4, 4 + LETTERS) for _ in range(drawn.randrange(2, longest + 1))] for _ in range(count)]
    return Dataset.from_list([{"input_ids": [*text, 1], "labels": [*text[::-1], 1]} for text in texts])


def small(**changes):
    """A T5 with drawn, not trained, weights that can learn to write backwards within seconds."""
    from madang.auto.classes import model_class
    from madang.testing.tiny import tiny_config

    set_seed(0)
    sizes = {"vocab_size": 16, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_heads": 2, "num_layers": 1}
    config = tiny_config("t5", **{**sizes, "num_decoder_layers": 1, "dropout_rate": 0.0, "eos_token_id": 1, **changes})
    return model_class("t5", "sequence-to-sequence-language")(config)


@pytest.fixture
def make(tmp_path):
    def make(model=None, cls=Seq2SeqTrainer, with_decoder=False, **given):
        model = model if model is not None else small()
        parts = {
            name: given.pop(name) for name in ("train_dataset", "eval_dataset", "compute_metrics") if name in given
        }
        given = {"predict_with_generate": True, "use_cpu": True, "disable_tqdm": True, "save_strategy": "no", **given}
        collator = DataCollatorForSeq2Seq(TinyTokenizer(), model=model if with_decoder else None)
        args = Seq2SeqTrainingArguments(str(tmp_path / "out"), **given)
        return cls(model, args, collator, processing_class=TinyTokenizer(), **parts)

    return make


def token_accuracy(prediction):
    written, labels = prediction
    width = min(written.shape[1] - 1, labels.shape[1])
    written, labels = written[:, 1 : 1 + width], labels[:, :width]  # the first token written starts the answer
    real = labels != -100
    return {"token_accuracy": (written == labels)[real].sum() / real.sum()}


def test_a_model_learns_to_write_backwards_and_what_it_writes_shows_it(make):
    trainer = make(
        small(num_layers=2, num_decoder_layers=2),
        train_dataset=pairs(800, 2),
        eval_dataset=pairs(60, 2, seed=1),
        compute_metrics=token_accuracy,
        generation_max_length=5,
        learning_rate=4e-3,
        warmup_steps=20,
        lr_scheduler_type="constant_with_warmup",
        per_device_train_batch_size=20,
        per_device_eval_batch_size=20,
        num_train_epochs=7,
        eval_strategy="epoch",
        metric_for_best_model="token_accuracy",
    )
    before = trainer.evaluate()
    trainer.train()
    seen = [entry["eval_token_accuracy"] for entry in trainer.state.log_history if "eval_token_accuracy" in entry]
    assert before["eval_token_accuracy"] < 0.3
    assert seen[-1] > 0.9
    assert seen[-1] > seen[0] > before["eval_token_accuracy"]
    text = torch.tensor([[7, 12, 1]])
    assert trainer.model.generate(text, max_length=5)[0].tolist() == [0, 12, 7, 1]


class TestPredictions:
    def test_answers_are_filled_up_with_the_padding_token_and_labels_keep_theirs(self, make):
        trainer, rows = make(per_device_eval_batch_size=2), pairs(7)
        model, lengths = trainer.model, iter([3, 5, 2, 4])
        model.generate = lambda **given: torch.full((len(given["input_ids"]), next(lengths)), 9)
        written, labels, _ = trainer.predict(rows)
        assert written.tolist()[:3] == [[9, 9, 9, 0, 0], [9, 9, 9, 0, 0], [9] * 5]
        for row, expected in zip(labels.tolist(), rows["labels"], strict=True):
            assert row == expected + [-100] * (len(row) - len(expected))

    def test_the_loss_is_that_of_the_labels(self, make):
        trainer, rows = make(), pairs(9)
        with_texts = trainer.evaluate(rows)["eval_loss"]
        assert with_texts == trainer.predict(rows).metrics["test_loss"]
        plain = make(trainer.model, predict_with_generate=False).evaluate(rows)["eval_loss"]
        assert with_texts == pytest.approx(plain, rel=1e-6)

    def test_without_generating_predictions_are_logits(self, make):
        rows = pairs(5)
        logits = make(predict_with_generate=False).predict(rows).predictions
        assert logits.shape == (5, max(map(len, rows["labels"])), 16)

    def test_what_a_collator_made_of_the_labels_is_not_shown_to_the_decoder(self, make):
        rows, model = pairs(5), small()
        model.prepare_decoder_input_ids_from_labels = lambda labels: model.head.decoder_inputs({"labels": labels}, None)
        with_decoder = make(model, with_decoder=True).predict(rows)
        without = make(model).predict(rows)
        np.testing.assert_array_equal(with_decoder.predictions, without.predictions)
        assert with_decoder.metrics["test_loss"] == pytest.approx(without.metrics["test_loss"])

    def test_a_beginning_of_the_answer_is_handed_to_generate(self, make):
        trainer, got = make(), []
        trainer.model.generate = lambda **given: got.append(set(given)) or torch.zeros(2, 3, dtype=torch.long)
        begun = {"decoder_input_ids": [0, 5]}
        trainer.data_collator = lambda rows: {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}
        trainer.predict([{"input_ids": [5, 1], **begun}] * 2)
        assert got == [{"input_ids", "decoder_input_ids"}]

    def test_rows_without_labels_are_answered(self, make):
        result = make().predict(pairs(5).remove_columns("labels"))
        assert result.label_ids is None
        assert result.predictions.shape[0] == 5
        assert "test_loss" not in result.metrics

    def test_models_that_continue_a_text_can_be_evaluated_so_too(self, make):
        model = tiny_model("gpt2", "causal-language")
        rows = Dataset.from_list([{"input_ids": [5, 6, 7], "labels": [5, 6, 7]}] * 3)
        written = make(model).predict(rows, max_new_tokens=2).predictions
        assert written.shape == (3, 5)
        assert written[:, :3].tolist() == [[5, 6, 7]] * 3

    def test_nothing_is_generated_when_only_the_loss_is_asked_for(self, make):
        trainer = make()
        trainer.model.generate = None
        assert "eval_loss" in trainer.evaluate(pairs(3))


class TestOptions:
    def width(self, trainer, **options):
        """How long the answers are; no end of a text stops them."""
        trainer.model.generation_config = GenerationConfig.from_model(trainer.model.config, {"eos_token_id": None})
        return trainer.predict(pairs(3), **options).predictions.shape[1]

    def test_lengths_come_from_the_call_then_the_arguments_then_the_model(self, make):
        trainer = make(generation_max_length=9)
        assert self.width(trainer) == 9
        assert self.width(trainer, max_length=5) == 5
        assert self.width(trainer, max_new_tokens=5) == 6  # and the one that starts
        assert self.width(trainer) == 9
        assert self.width(make()) == 20

    def test_options_hold_for_all_of_several_datasets(self, make):
        seen = []
        trainer = make(compute_metrics=lambda prediction: seen.append(prediction.predictions.shape[1]) or {})
        trainer.model.generation_config = GenerationConfig.from_model(trainer.model.config, {"eos_token_id": None})
        trainer.evaluate({"one": pairs(3), "two": pairs(2)}, max_length=7)
        trainer.evaluate(pairs(3))
        assert seen == [7, 7, 20]

    def test_sampling_is_possible(self, make):
        trainer, rows = make(), pairs(6)
        set_seed(0)
        first = trainer.predict(rows, do_sample=True, max_length=8).predictions
        set_seed(1)
        assert first.tolist() != trainer.predict(rows, do_sample=True, max_length=8).predictions.tolist()

    @pytest.mark.parametrize("kind", ["object", "dict", "folder", "file"])
    def test_a_generation_config_can_be_given_or_read(self, make, tmp_path, kind):
        values = {"max_length": 6, "eos_token_id": None}
        (tmp_path / "generation_config.json").write_text(json.dumps(values), encoding="utf-8")
        given = {
            "object": GenerationConfig(**values, decoder_start_token_id=0, pad_token_id=0),
            "dict": values,
            "folder": str(tmp_path),
            "file": str(tmp_path / "generation_config.json"),
        }[kind]
        trainer = make(generation_config=given)
        assert trainer.predict(pairs(3)).predictions.shape[1] == 6
        assert trainer.args.to_dict()["generation_config"] is not None
        assert "generation_config" in trainer.args.to_json_string()

    def test_a_generation_config_that_is_not_there_is_an_error(self, make, tmp_path):
        with pytest.raises(MissingFileError, match=r"no generation_config\.json"):
            make(generation_config=str(tmp_path))

    @pytest.mark.parametrize("when", ["arguments", "model", "evaluate", "predict"])
    def test_beam_search_is_refused_before_anything_begins(self, make, when):
        model = small()
        if when == "model":
            model.generation_config = GenerationConfig.from_model(model.config, {"num_beams": 4})

        def begin():
            trainer = make(model, **({"generation_num_beams": 4} if when == "arguments" else {}))
            model.forward = model.generate = lambda **given: pytest.fail("computed")
            getattr(trainer, when)(pairs(3), num_beams=4)

        with pytest.raises(InputError, match="num_beams=4: beam search is not there yet"):
            begin()
        assert make(generation_num_beams=1).predict(pairs(3)).predictions.shape[0] == 3

    def test_unknown_options_are_named_before_anything_begins(self, make):
        with pytest.raises(UnknownNameError, match=r"'max_lenght'.*Did you mean 'max_length'"):
            make().evaluate(pairs(3), max_lenght=3)
        with pytest.raises(InputError, match=r"max_length.*predict_with_generate=True"):
            make(predict_with_generate=False).evaluate(pairs(3), max_length=3)

    def test_a_model_that_produces_no_text_is_refused(self, make):
        with pytest.raises(InputError, match=r"TinyClassifier has no generate\(\)"):
            make(TinyClassifier())
        assert make(TinyClassifier(), predict_with_generate=False)

    def test_the_arguments_are_checked(self, make, tmp_path):
        with pytest.raises(InputError, match="generation_max_length is a whole number"):
            make(generation_max_length=0)
        with pytest.raises(UnknownNameError, match="'predict_with_generat'"):
            make(predict_with_generat=True)
        with pytest.raises(InputError, match="Seq2SeqTrainer takes Seq2SeqTrainingArguments"):
            Seq2SeqTrainer(small(), madang.TrainingArguments(str(tmp_path), use_cpu=True))

    def test_the_sortish_sampler_is_grouping_by_length(self):
        assert Seq2SeqTrainingArguments(sortish_sampler=True).group_by_length
        assert not Seq2SeqTrainingArguments().group_by_length


def test_the_generation_config_reaches_a_model_that_is_made_anew(tmp_path):
    args = Seq2SeqTrainingArguments(
        str(tmp_path), predict_with_generate=True, generation_config={"max_length": 6}, use_cpu=True, max_steps=1
    )
    trainer = Seq2SeqTrainer(args=args, model_init=lambda: small(), train_dataset=pairs(4))
    trainer._take_model(None)
    assert trainer.model.generation_config.max_length == 6


def test_the_names_are_public():
    assert madang.Seq2SeqTrainer is Seq2SeqTrainer
    assert madang.Seq2SeqTrainingArguments is Seq2SeqTrainingArguments
    assert issubclass(Seq2SeqTrainer, Trainer)
