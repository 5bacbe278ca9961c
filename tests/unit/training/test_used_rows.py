"""Rows of a large table that no text has used cost nothing, and everything else is as it was."""

import copy
import pickle

import pytest
import torch
from torch import nn

from madang.adapt import LoraConfig
from madang.datasets import Dataset
from madang.errors import TrainingError
from madang.testing import tiny_model
from madang.training import DataCollatorForLanguageModeling, Trainer, TrainerCallback, used_rows
from madang.training.used_rows import UsedRowsAdamW, by_row, clip_gradient
from tests.unit.training.tiny import TinyTokenizer, examples

ROWS = 96


def named(case: dict) -> str:
    """The name of a case, the same in every process: objects are told by their type."""
    return ",".join(f"{key}={_said(value)}" for key, value in case.items())


def _said(value: object) -> str:
    if isinstance(value, (str, int, float, type(None))):
        return str(value)
    if isinstance(value, dict):
        return named(value)
    return getattr(value, "__name__", type(value).__name__)


@pytest.fixture(autouse=True)
def _small_tables_count(monkeypatch):
    monkeypatch.setattr(used_rows, "LARGE", 0)


def table_and_head(sparse):
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(ROWS, 16, padding_idx=0, sparse=sparse), nn.Flatten(), nn.Linear(64, 3))


def groups(model, **options):
    return [{"params": [model[0].weight], **options}, {"params": list(model[2].parameters())}]


def learn(model, optimizer, steps, *, words=ROWS, first=0, micro_batches=1, longest=0.0, lr=None):
    """Steps on texts of `words` different words, which depend on the number of the step."""
    for step in range(first, first + steps):
        drawn = torch.Generator().manual_seed(step)
        for group in optimizer.param_groups:
            group["lr"] = lr(step) if lr else group["lr"]
        for _ in range(micro_batches):
            ids = torch.randint(0, words, (6, 4), generator=drawn) if step != 2 else torch.zeros(6, 4, dtype=torch.long)
            nn.functional.cross_entropy(model(ids), ids[:, 0] % 3).backward()
        if longest:
            clip_gradient(model.parameters(), longest)
        optimizer.step()
        optimizer.zero_grad()


def same(one, other):
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one.parameters(), other.parameters(), strict=True))


def both(steps=12, options=None, make=torch.optim.AdamW, **how):
    """A table learned whole by torch's optimizer, and one learned by rows."""
    whole, rows = table_and_head(sparse=False), table_and_head(sparse=True)
    options = {"lr": 1e-2, "fused": True, "weight_decay": 0.0, **(options or {})}
    optimizers = [make(groups(whole), **options), UsedRowsAdamW(groups(rows), **options)]
    learn(whole, optimizers[0], steps, **how)
    learn(rows, optimizers[1], steps, **how)
    return whole, rows, *optimizers


@pytest.mark.parametrize("words", [6, ROWS])  # few of the rows, and most
@pytest.mark.parametrize(
    "options",
    [{}, {"weight_decay": 0.1}, {"amsgrad": True}, {"maximize": True}, {"betas": (0.5, 0.9), "eps": 1e-3}],
    ids=named,
)
class TestTheBitsAreThoseOfTheWholeTable:
    def test_weights_and_averages(self, words, options):
        whole, rows, _, optimizer = both(options=options, words=words)
        assert same(whole, rows)
        used = optimizer._used[rows[0].weight]
        assert used.sum() > words / 2
        assert not used[words:].any()
        assert not used[0]  # padding learns nothing

    def test_a_rate_that_changes(self, words, options):
        whole, rows, *_ = both(options=options, words=words, lr=lambda step: 0.01 / (step + 1))
        assert same(whole, rows)

    def test_the_state_is_that_of_torch_and_goes_both_ways(self, words, options):
        whole, rows, dense, optimizer = both(options=options, words=words)
        state, expected = optimizer.state_dict(), dense.state_dict()
        assert state["param_groups"] == expected["param_groups"]
        assert state["state"].keys() == expected["state"].keys()
        for number, entry in expected["state"].items():
            assert list(state["state"][number]) == list(entry)
            assert all(torch.equal(value, state["state"][number][name]) for name, value in entry.items())
        exchanged = torch.optim.AdamW(groups(whole)), UsedRowsAdamW(groups(rows))
        exchanged[0].load_state_dict(state)
        exchanged[1].load_state_dict(expected)
        for model, goes_on in zip((whole, rows), exchanged, strict=True):
            learn(model, goes_on, 5, first=12)
        assert same(whole, rows)


@pytest.mark.parametrize(
    "how", [{"micro_batches": 3}, {"longest": 0.1}, {"micro_batches": 2, "longest": 0.1}], ids=named
)
@pytest.mark.parametrize("words", [6, ROWS])
def test_sums_over_batches_and_clipping_round_differently_and_no_more(how, words):
    whole, rows, *_ = both(30, {"lr": 1e-3, "weight_decay": 0.1, "eps": 1e-6}, words=words, **how)
    for mine, theirs in zip(rows.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


def test_the_row_of_a_word_that_does_not_come_again_goes_on_moving_as_adamw_has_it():
    model = table_and_head(sparse=True)
    optimizer = UsedRowsAdamW(model.parameters(), lr=0.1, fused=True, weight_decay=0.0)
    learn(model, optimizer, 1, words=ROWS)
    before = model[0].weight.detach().clone()
    learn(model, optimizer, 1, words=2)
    moved = (model[0].weight != before).any(1)
    assert torch.equal(moved, optimizer._used[model[0].weight])
    assert 2 < moved.sum() < ROWS


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_a_copy_goes_on_alike(copied):
    _, model, _, optimizer = both(words=6)
    other_model, other = copied((model, optimizer))
    for learner, goes_on in ((model, optimizer), (other_model, other)):
        learn(learner, goes_on, 5, words=12, first=12)
    assert same(model, other_model)


def test_gradients_may_be_whole_for_a_while():
    whole, rows, dense, optimizer = both(3, words=6)
    for sparse in (False, True):
        rows[0].sparse = sparse
        learn(whole, dense, 3, words=12, first=3 + 3 * sparse)
        learn(rows, optimizer, 3, words=12, first=3 + 3 * sparse)
    assert same(whole, rows)


def test_a_closure_makes_the_gradients():
    whole, rows = table_and_head(sparse=False), table_and_head(sparse=True)
    for model, make in ((whole, torch.optim.AdamW), (rows, UsedRowsAdamW)):
        optimizer, ids = make(model.parameters(), lr=0.1, fused=True), torch.tensor([[5, 7, 5, 9]])

        def loss(model=model, ids=ids):
            found = model(ids).square().sum()
            found.backward()
            return found.detach()

        assert float(optimizer.step(loss)) > 0
    assert same(whole, rows)


def test_an_optimizer_that_fails_has_its_table_back(monkeypatch):
    model = table_and_head(sparse=True)
    optimizer = UsedRowsAdamW(groups(model), lr=0.1)

    def fails(*given):
        raise MemoryError

    monkeypatch.setattr(torch.optim.AdamW, "step", fails)
    with pytest.raises(MemoryError):
        learn(model, optimizer, 1, words=6)
    assert optimizer.param_groups[0]["params"][0] is model[0].weight
    assert all(any(known is parameter for parameter in model.parameters()) for known in optimizer.state)


def test_a_gradient_by_row_sums_in_the_order_of_the_tokens():
    torch.manual_seed(0)
    table, ids, given = torch.randn(20, 8, requires_grad=True), torch.randint(0, 20, (300,)), torch.randn(300, 8)
    whole, sparse = (
        torch.autograd.grad(nn.functional.embedding(ids, table, sparse=sparse), table, given)[0]
        for sparse in (False, True)
    )
    summed = by_row(sparse)
    assert summed.is_coalesced()
    assert by_row(summed) is summed
    assert torch.equal(summed.to_dense(), whole)


@pytest.mark.parametrize("longest", [0.01, 100.0])
def test_clipping_is_that_of_torch(longest):
    whole, rows = table_and_head(sparse=False), table_and_head(sparse=True)
    for model in (whole, rows):
        model(torch.tensor([[5, 7, 5, 9]])).square().sum().backward()
    lengths = nn.utils.clip_grad_norm_(whole.parameters(), longest), clip_gradient(rows.parameters(), longest)
    torch.testing.assert_close(*lengths)
    for mine, theirs in zip(rows.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine.grad.to_dense(), theirs.grad)


# in a Trainer


def bert(task="sequence-classification", **changes):
    numbers = {"num_labels": 3, "hidden_size": 48, "vocab_size": 256, "hidden_dropout_prob": 0.2, **changes}
    return tiny_model("bert", task, **numbers)


@pytest.fixture
def trained(make_trainer, monkeypatch):
    """A function that trains by rows, or with `large` tables only and so without."""

    def train(model=bert, large=0, cls=Trainer, parts=None, **given):
        monkeypatch.setattr(used_rows, "LARGE", large)
        torch.manual_seed(0)
        given = {"per_device_train_batch_size": 4, "max_steps": 30, "logging_steps": 1, "learning_rate": 1e-4, **given}
        given.setdefault("adam_epsilon", 1e-6)  # some gradients are nothing but rounding: those of the keys' biases
        trainer = make_trainer(given, cls, model=model(), **(parts or {}))
        trainer.train()
        return trainer

    return train


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


MASKED = {"data_collator": DataCollatorForLanguageModeling(TinyTokenizer(), mlm_probability=0.4)}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"max_grad_norm": 0, "weight_decay": 0.1},
        {"gradient_accumulation_steps": 2},
        {"bf16": True},
        {"gradient_checkpointing": True},
        {"neftune_noise_alpha": 5},
        {"auto_find_batch_size": True, "lr_scheduler_type": "cosine", "warmup_steps": 5},
        {"optim_args": "amsgrad=true"},
        {"parts": MASKED, "model": lambda: bert("masked-language", tie_word_embeddings=False)},
    ],
    ids=named,
)
def test_a_training_by_rows_is_the_training_without(trained, given):
    rows, whole = trained(**given), trained(large=10**9, **given)
    assert rows.optimizer._used  # it was on
    assert type(whole.optimizer) is torch.optim.AdamW
    assert losses(rows) == pytest.approx(losses(whole), abs=1e-6)
    exact = not {"gradient_accumulation_steps"} & given.keys() and given.get("max_grad_norm") == 0
    for (name, mine), theirs in zip(rows.model.named_parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0 if exact else 1e-6, msg=name)
    for module in rows.model.modules():
        if isinstance(module, nn.Embedding):
            assert not module.sparse
            assert module.weight.grad is None


def frozen():
    model = bert()
    model.body.embed.requires_grad_(False)
    return model


def hooked():
    model = bert()
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.weight.register_hook(lambda gradient: gradient * 1.0)
    return model


def tied():
    return bert("masked-language", max_position_embeddings=8)


class OwnStep(Trainer):
    def training_step(self, *given, **named):
        return super().training_step(*given, **named)


class OwnClipping(Trainer):
    def clip_gradients(self):
        return super().clip_gradients()


class OwnOptimizer(Trainer):
    def create_optimizer(self, *given):
        return super().create_optimizer(*given)


class OwnLoss(Trainer):
    def compute_loss(self, *given, **named):
        return super().compute_loss(*given, **named)


class LooksAtGradients(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        assert not any(parameter.grad.is_sparse for parameter in model.parameters())


class LooksAtSteps(TrainerCallback):
    def on_step_end(self, args, state, control, model, **kwargs):
        assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "given",
    [
        {"optim": "adamw_torch"},
        {"optim": "sgd"},
        {"optim_args": "fused=false"},
        {"fp16": True},
        {"torch_compile": True, "torch_compile_backend": "eager"},
        {"model": frozen},
        {"model": hooked},
        {"model": lambda: bert().add_adapter(LoraConfig(r=2))},
        {"model": lambda: bert(hidden_size=24)},
        {"model": lambda: bert().to(torch.bfloat16)},
        {"cls": OwnStep},
        {"cls": OwnClipping},
        {"cls": OwnOptimizer},
        {"parts": {"callbacks": [LooksAtGradients]}},
        {"parts": {"optimizer_cls_and_kwargs": (torch.optim.AdamW, {"lr": 1e-3})}},
    ],
    ids=named,
)
def test_it_is_off_where_it_cannot_be_or_somebody_may_look_at_gradients(make_trainer, given):
    given = {"model": bert, "cls": Trainer, "parts": {}, **given}
    make, cls, parts = (given.pop(name) for name in ("model", "cls", "parts"))
    trainer = make_trainer(given, cls, model=make(), **parts)
    assert not isinstance(trainer.create_optimizer(), UsedRowsAdamW)


@pytest.mark.parametrize("given", [{"cls": OwnLoss}, {"parts": {"callbacks": [LooksAtSteps]}}], ids=named)
def test_it_is_on_where_nobody_can_tell(trained, given):
    assert trained(max_steps=2, **given).optimizer._used


def test_a_table_that_the_head_shares_is_learned_whole(trained, make_trainer):
    trainer = make_trainer({}, model=tied(), **MASKED)
    assert trainer.model.body.embed.tokens.weight is trainer.model.head.output.weight
    assert "body.embed.tokens" not in used_rows.tables_by_rows(trainer)
    assert "body.embed.tokens" in used_rows.tables_by_rows(make_trainer({}, model=bert()))


def test_by_default_only_large_tables_are_learned_by_rows(make_trainer, monkeypatch):
    monkeypatch.undo()
    assert used_rows.tables_by_rows(make_trainer({}, model=bert())) == []
    large = bert(vocab_size=used_rows.LARGE // 48 + 1)
    assert used_rows.tables_by_rows(make_trainer({}, model=large)) == ["body.embed.tokens"]


def test_a_training_that_breaks_leaves_no_sparse_gradient(make_trainer):
    model = bert()
    trainer = make_trainer({"max_grad_norm": 0}, model=model)
    with torch.no_grad():
        model.head.output.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="the loss became nan"):
        trainer.train()
    table = model.body.embed.tokens
    assert not table.sparse
    assert table.weight.grad is not None
    assert not table.weight.grad.is_sparse


def test_training_again_and_by_other_rows_goes_on(trained):
    trainer = trained(max_steps=3)
    trainer.train_dataset = Dataset.from_list(examples(12, seed=3))
    assert trainer.train().global_step == 3
