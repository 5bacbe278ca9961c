"""Several processes: two of them, on this machine, give what one gives."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import RandomSampler

from madang import AutoModelForTokenClassification
from madang.errors import CheckpointError, ConfigError, InputError, UnknownNameError
from madang.testing import tiny_model
from madang.training import TrainingArguments
from madang.training.checkpointing import checkpoints
from madang.training.distributed import fsdp, streams
from madang.training.distributed.fsdp import Sharding
from madang.training.order import EpochSampler, Picks
from tests.unit.training import several

ROOT = Path(__file__).parents[3]


def start(*arguments):
    """The program `several` on two processes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    return subprocess.Popen(
        [*torchrun, *meeting, "-m", several.__name__, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What the trainings gave on one process and on two."""
    folder = tmp_path_factory.mktemp("several")
    torch.set_num_threads(1)
    several.main(folder)
    process = start(folder)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    several.go_on(folder)  # also from what two processes left
    alone, *two = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("1-0", "2-0", "2-1"))
    return SimpleNamespace(folder=folder, alone=alone, two=two, output=output)


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """What was printed where something went wrong on one of two processes, by what went wrong."""
    folder = tmp_path_factory.mktemp("failed")
    processes = {kind: start(folder, kind) for kind in ("nan", "collator", "killed")}
    outputs = {kind: process.communicate(timeout=120)[0] for kind, process in processes.items()}
    assert all(process.returncode for process in processes.values())
    return SimpleNamespace(folder=folder, outputs=outputs)


def logged(result, name):
    return [entry[name] for entry in result["log"] if name in entry]


def without_times(log):
    return [
        {name: value for name, value in entry.items() if not name.endswith(("runtime", "_second"))} for entry in log
    ]


def same_weights(folder, one, other, tolerance=1e-6):
    one, other = (torch.load(folder / f"{name}.pt") for name in (one, other))
    assert one.keys() == other.keys()
    for name, values in one.items():
        # attention does not depend on the keys' bias: its gradient is rounding, whose sign Adam follows
        if "key.bias" not in name:
            np.testing.assert_allclose(values, other[name], rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.slow
@pytest.mark.loopback
class TestTwoProcesses:
    @pytest.mark.parametrize("name", several.TRAININGS)
    def test_train_as_one_does(self, runs, name):
        alone, (first, second) = runs.alone[name], (each[name] for each in runs.two)
        for number in ("loss", "grad_norm", "eval_loss", "train_loss", "learning_rate", "epoch"):
            assert logged(first, number) == pytest.approx(logged(alone, number), abs=1.5e-6), number
        assert first["evaluation"] == pytest.approx(alone["evaluation"], abs=1e-6)
        # in the tied model a gradient of 1e-9 is divided by its own size
        same_weights(runs.folder, f"{name}-1", f"{name}-2", 1e-4 if "tied" in name else 2e-6)
        assert first["log"] == second["log"]

    def test_exchange_gradients_once_per_step(self, runs):
        steps = {name: logged(runs.alone[name], "step")[-1] for name in ("texts", "targets", "unused")}
        assert {name: runs.two[0][name]["exchanges"] for name in steps} == steps

    @pytest.mark.parametrize("way", ["ddp", "fsdp"])
    def test_stopped_and_gone_on_with_is_never_stopped_bit_for_bit(self, runs, way):
        results = runs.two[0]["stopping"]
        never, stopped = results[f"{way}, never stopped"], results[f"{way}, stopped"]
        assert stopped["bits"] == never["bits"]
        assert without_times(stopped["log"]) == without_times(never["log"])

    @pytest.mark.parametrize("way", ["alone-1", "ddp-2", "fsdp-2"])
    @pytest.mark.parametrize("source", ["alone", "ddp", "fsdp"])
    def test_a_checkpoint_can_be_gone_on_from_in_any_number_and_way(self, runs, source, way):
        same_weights(runs.folder, f"{source} to {way}", "dry alone-1")

    def test_a_checkpoint_whose_order_of_rows_means_another_batch_size_is_refused(self, runs, tmp_path):
        given = {**several.GROUPED.given, "gradient_accumulation_steps": 2}
        trainer = replace(several.GROUPED, together=2, given=given).trainer(tmp_path)
        with pytest.raises(CheckpointError, match="4 examples per batch"):
            trainer.train(resume_from_checkpoint=str(runs.folder / "grouped 2" / "checkpoint-3"))

    def test_dropout_falls_on_other_places_in_each(self, runs):
        first, second = runs.two[0]["other"]["masks"]
        assert first != second
        assert runs.alone["other"]["masks"] == [first]

    def test_begin_with_the_same_weights_where_each_drew_its_own(self, runs):
        first, second = runs.two[0]["other"]["drawn"]
        assert first == second == runs.alone["other"]["drawn"][0]

    def test_end_with_the_best_weights_of_a_spread_model_saved_whole(self, runs):
        found = runs.two[0]["other"]
        assert found["evaluations"] == pytest.approx(runs.alone["other"]["evaluations"], rel=1e-5)
        assert found["best"] == min(found["evaluations"]) != found["evaluations"][-1]
        saved, alone = (AutoModelForTokenClassification.from_pretrained(runs.folder / f"saved-{n}") for n in (2, 1))
        assert type(saved) is type(alone)
        assert saved.config.architectures == ["BertForTokenClassification"]

    def test_parameters_that_take_no_part_are_named_at_once(self, runs):
        for each in runs.two:
            assert "layers.2.weight, layers.2.bias" in each["other"]["unused"]
            assert "ddp_find_unused_parameters=True" in each["other"]["unused"]

    def test_only_the_main_one_prints_and_nothing_is_left_open(self, runs):
        in_two_ways, once = 3 + 3, 1 + 2  # stopped or not, and from three sources; grouped, and two other things
        assert runs.output.count("'train_runtime'") == len(several.TRAININGS) + 2 * in_two_ways + once
        assert "Warning" not in runs.output

    def test_end_together_where_one_has_a_loss_that_is_no_number(self, failed):
        assert "TrainingError: the loss became nan at step 2" in failed.outputs["nan"]

    def test_end_together_where_the_collator_fails_on_one(self, failed):
        assert "ValueError: this row cannot be collated" in failed.outputs["collator"]

    def test_killed_while_saving_leaves_the_checkpoint_before(self, failed, runs):
        folder = failed.folder / "killed"
        assert (folder / ".checkpoint-6.part").is_dir()
        assert [path.name for path in checkpoints(folder)] == ["checkpoint-3"]
        again = several.DRY.trainer(folder)
        again.train(resume_from_checkpoint=True)
        torch.save(again.model.state_dict(), runs.folder / "killed.pt")
        same_weights(runs.folder, "killed", "dry alone-1")


class TestOrder:
    def test_a_foreign_sampler_gives_every_row_to_one_process(self):
        rows = []
        for rank in range(2):
            torch.manual_seed(rank)  # each has chance of its own
            picks = Picks(RandomSampler(range(11)), 2, seed=3, rank=rank, processes=2)
            rows += [row for pick in picks if not pick.spare for row in pick.rows]
        assert sorted(rows) == list(range(11))

    def test_processes_draw_apart_while_they_make_batches(self):
        seeds = [
            [pick.seed for pick in Picks(EpochSampler(8, 0), 2, seed=3, rank=rank, processes=2)] for rank in (0, 1)
        ]
        assert len({*seeds[0], *seeds[1]}) == 4


class TestStreams:
    def test_a_process_that_ran_out_gets_spares(self):
        others = iter([(1, 0), (1, 0), (0, 0)])  # how many processes have a batch, and how many never had one

        class Two:
            def total(self, mine):
                return mine + torch.tensor(next(others))

        batches = list(streams.in_step(iter([{"input_ids": 1}]), Two()))
        assert batches == [{"input_ids": 1}, {"input_ids": 1}]
        assert [type(batch).__name__ for batch in batches] == ["dict", "Spare"]

    def test_a_spare_needs_a_dict(self):
        class Two:
            def total(self, mine):
                return mine + torch.tensor((1, 0))

        with pytest.raises(InputError, match="a batch that is a dict"):
            list(streams.in_step(iter([(torch.zeros(1),)]), Two()))


def sharding(fsdp, fsdp_config=None):
    return Sharding.of(TrainingArguments(fsdp=fsdp, fsdp_config=fsdp_config))


class TestSharding:
    def test_is_off_unless_asked_for(self):
        assert sharding("") is sharding(False) is sharding([]) is None

    @pytest.mark.parametrize("said", ["full_shard", "full_shard auto_wrap", True, ["full_shard", "auto_wrap"]])
    def test_full_shard_lets_parameters_go_after_the_forward(self, said):
        assert sharding(said) == Sharding(release=True)

    def test_other_spellings_of_options(self):
        assert sharding("shard_grad_op") == Sharding(release=False)
        assert sharding("full_shard offload") == sharding(True, {"fsdp_cpu_offload": True}) == Sharding(offload=True)
        assert sharding(True, {"reshard_after_forward": False, "version": 2}) == Sharding(release=False)
        layers = {"transformer_layer_cls_to_wrap": ["PostNormBlock"], "min_num_params": 100}
        assert sharding(True, layers) == Sharding(blocks=("PostNormBlock",), smallest=100)

    @pytest.mark.parametrize(
        ("said", "config", "error", "message"),
        [
            ("full_shart", None, UnknownNameError, "full_shard"),
            ("hybrid_shard", None, UnknownNameError, "there are|known|full_shard"),
            ("auto_wrap", None, ConfigError, "full_shard or shard_grad_op"),
            (True, {"cpu_offlod": True}, UnknownNameError, "cpu_offload"),
            (True, {"version": 1}, ConfigError, "version is always 2"),
            (True, {"activation_checkpointing": True}, ConfigError, "gradient_checkpointing=True"),
            ("", {"cpu_offload": True}, ConfigError, "fsdp does not ask for it"),
        ],
    )
    def test_what_there_is_not_is_an_error_that_says_what_there_is(self, said, config, error, message):
        with pytest.raises(error, match=message):
            sharding(said, config)

    def test_units_are_the_blocks_of_every_stack_or_the_classes_named(self):
        model = tiny_model("t5", "sequence-to-sequence-language")
        assert len(fsdp.blocks(model, ())) == model.config.num_layers + model.config.num_decoder_layers
        plain = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
        assert fsdp.blocks(plain, ["Linear"]) == [plain[0], plain[2]]
        with pytest.raises(UnknownNameError, match="Linear"):
            fsdp.blocks(plain, ["Linaer"])

    def test_one_process_alone_is_told_that_it_shares_with_nobody(self, tmp_path):
        with pytest.warns(UserWarning, match="nobody to share"):
            several.DRY.trainer(tmp_path, fsdp="full_shard")
