import copy
import math
import pickle

import pytest
import torch
from torch import nn

from madang.errors import ConfigError, UnknownNameError
from madang.testing import tiny_inputs, tiny_model
from madang.training import AdamW, get_scheduler
from madang.training.adafactor import Adafactor
from madang.training.lion import Lion
from madang.training.muon import Muon
from madang.training.optimizer import OPTIMIZERS, make_optimizer, parameter_groups, parse_options
from tests.unit.training.tiny import TinyClassifier

BETAS, EPS = (0.9, 0.999), 1e-8


def optimizer_of(name, model, lr=0.01, decay=0.1, **options):
    return make_optimizer(name, parameter_groups(model, decay), lr, BETAS, EPS, options)


def a_model(dtype=torch.float32):
    torch.manual_seed(0)
    return TinyClassifier().to(dtype)


def learn(model, optimizer, steps, seed=0):
    """Steps along gradients that depend on the weights and on which step it is."""
    for step in range(steps):
        torch.manual_seed(seed + step)
        loss = model(torch.randint(0, 11, (4, 5)), labels=torch.randint(0, 3, (4,)))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


# groups


def test_only_matrices_decay():
    model = TinyClassifier()
    decaying, steady = parameter_groups(model, 0.1)
    assert (decaying["weight_decay"], steady["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in decaying["params"]} == {id(model.embed.weight), id(model.head.weight)}
    assert {id(p) for p in steady["params"]} == {id(model.norm.weight), id(model.norm.bias), id(model.head.bias)}


def test_frozen_and_shared_parameters_are_listed_rightly():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    model[1].bias.requires_grad = False
    decaying, steady = parameter_groups(model, 0.1)
    assert (len(decaying["params"]), len(steady["params"])) == (1, 1)


def test_a_tied_head_is_listed_once_and_stays_with_the_embeddings():
    model = tiny_model("gpt2", "causal-language")
    listed = [parameter for group in parameter_groups(model, 0.1) for parameter in group["params"]]
    assert len(listed) == len({id(parameter) for parameter in listed}) == len(list(model.parameters()))


class NormedScale(nn.Module):
    """A norm and a bias of nobody's making, beside a block whose name only sounds like one."""

    class SquareNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(2, 3))

    class PairBias(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(2, 3)

    class PreNormBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Parameter(torch.ones(3, 3))
            self.gain = nn.Parameter(torch.ones(3))

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = self.SquareNorm(), self.PreNormBlock(), self.PairBias()


def test_norms_and_biases_of_any_class_and_all_vectors_stay():
    model = NormedScale()
    decaying, steady = parameter_groups(model, 0.1)
    assert [id(p) for p in decaying["params"]] == [id(model.b.mix)]
    assert [id(p) for p in steady["params"]] == [id(model.a.scale), id(model.b.gain), id(model.c.table.weight)]


def test_hidden_matrices_lie_between_embeddings_and_head():
    model = tiny_model("bert", "masked-language")
    hidden = {
        id(parameter)
        for group in parameter_groups(model, 0.1)
        for parameter, inside in zip(group["params"], group["hidden"], strict=True)
        if inside
    }
    names = {name for name, parameter in model.named_parameters() if id(parameter) in hidden}
    assert "body.blocks.0.attention.query.weight" in names
    assert not [name for name in names if "embed" in name or "head" in name or "norm" in name or "bias" in name]


# options


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (None, {}),
        ("", {}),
        ({"momentum": 0.9, "eps": "1e-4"}, {"momentum": 0.9, "eps": 1e-4}),
        ("momentum=0.9,nesterov=True", {"momentum": 0.9, "nesterov": True}),
        (" eps = (1e-30, 1e-3), beta1=None ,", {"eps": (1e-30, 1e-3), "beta1": None}),
        ("betas=[0.9,0.99],adjust_lr_fn=original", {"betas": [0.9, 0.99], "adjust_lr_fn": "original"}),
    ],
)
def test_options_may_be_text_or_a_dict(text, options):
    assert parse_options(text) == options


def test_options_reach_the_optimizer():
    group = optimizer_of("sgd", a_model(), momentum=0.5, nesterov=True).param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.5, True)
    groups = parameter_groups(a_model(), 0.0)
    group = make_optimizer("adamw_torch", groups, 0.1, BETAS, EPS, "eps=1e-4,betas=(0.8,0.9)").param_groups[0]
    assert (group["eps"], group["betas"]) == (1e-4, (0.8, 0.9))


def test_mistakes_are_explained():
    model = a_model()
    with pytest.raises(UnknownNameError, match="Did you mean 'adamw_torch'"):
        optimizer_of("adamw_torh", model)
    with pytest.raises(UnknownNameError, match=r"option of the optimizer 'sgd': 'momentun'\. Did you mean 'momentum'"):
        optimizer_of("sgd", model, momentun=0.9)
    with pytest.raises(ConfigError, match="argument learning_rate"):
        make_optimizer("sgd", [], 0.1, BETAS, EPS, "lr=3")
    with pytest.raises(ConfigError, match="found 'momentum'"):
        parse_options("nesterov=true,momentum")
    with pytest.raises(ConfigError, match=r"either a learning rate or relative_step=True; found lr=0.1"):
        Adafactor(model.parameters(), lr=0.1)
    with pytest.raises(ConfigError, match="warmup_init"):
        Adafactor(model.parameters(), lr=0.1, relative_step=False, warmup_init=True)
    with pytest.raises(ConfigError, match="parameter_groups"):
        make_optimizer("muon", [{"params": list(model.parameters())}], 0.1, BETAS, EPS)


# all of them


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns_under_a_schedule(name):
    model = a_model()
    before = learn(model, optimizer_of(name, model, lr=0.0), 1)
    torch.manual_seed(0)
    inputs, labels = torch.randint(0, 11, (4, 5)), torch.randint(0, 3, (4,))
    optimizer = optimizer_of(name, model)
    schedule = get_scheduler("linear", optimizer, 0, 10)
    losses = []
    for _ in range(10):
        loss = model(inputs, labels=labels)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert {group["lr"] for group in optimizer.param_groups} == {0.0}
    after = learn(model, optimizer, 1, seed=5)
    assert all(not torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(after, learn(model, optimizer, 1), strict=True))


def through_a_file(optimizer, model, name):
    fresh = optimizer_of(name, model, lr=0.5, decay=0.0)
    fresh.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    return fresh


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_goes_on_bit_for_bit_where_it_was_saved(name, dtype):
    model = a_model(dtype)
    optimizer = optimizer_of(name, model)
    learn(model, optimizer, 3)
    other = copy.deepcopy(model)
    resumed = through_a_file(optimizer, other, name)
    wanted, found = learn(model, optimizer, 3, seed=9), learn(other, resumed, 3, seed=9)
    assert all(torch.equal(one, two) for one, two in zip(wanted, found, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_copy_of_model_and_optimizer_learns_apart_and_alike(name):
    model = a_model()
    optimizer = optimizer_of(name, model)
    learn(model, optimizer, 2)
    other, copied = copy.deepcopy((model, optimizer))
    found = learn(other, copied, 2, seed=9)
    wanted = learn(model, optimizer, 2, seed=9)
    assert all(torch.equal(one, two) for one, two in zip(wanted, found, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_closure_is_called_with_gradients_and_frozen_parameters_stay(name):
    model = a_model()
    model.embed.weight.requires_grad = False
    before = model.embed.weight.clone()
    optimizer = optimizer_of(name, model)
    model.norm.bias.grad = None

    def closure():
        optimizer.zero_grad()
        loss = model(torch.tensor([[1, 2]]), labels=torch.tensor([1]))["loss"]
        loss.backward()
        return loss

    assert optimizer.step(closure).item() > optimizer.step(closure).item()
    assert torch.equal(model.embed.weight, before)


def test_fused_kernels_are_used_where_torch_has_them():
    model = a_model()
    for name in ("adamw_torch_fused", "sgd", "adagrad", "muon"):
        assert all(group["fused"] for group in optimizer_of(name, model).param_groups), name
    assert not optimizer_of("adamw_torch", model).param_groups[0]["fused"]
    assert not optimizer_of("sgd", model, foreach=True).param_groups[0]["fused"]
    assert not optimizer_of("adamw_torch_fused", model.to("meta")).param_groups[0]["fused"]


def test_fused_and_plain_adamw_are_the_same_formula():
    one, two = a_model(), a_model()
    fused, plain = learn(one, optimizer_of("adamw_torch_fused", one), 5), learn(two, optimizer_of("adamw_hf", two), 5)
    for value, other in zip(fused, plain, strict=True):
        torch.testing.assert_close(value, other, atol=1e-6, rtol=1e-6)


# one by one


def test_adamw_has_the_defaults_of_older_tutorials():
    optimizer = AdamW([nn.Parameter(torch.zeros(1))], lr=5e-5, correct_bias=True)
    assert optimizer.defaults["weight_decay"] == 0.0
    assert isinstance(optimizer, torch.optim.AdamW)
    with pytest.raises(UnknownNameError, match="correct_bias"):
        AdamW([nn.Parameter(torch.zeros(1))], correct_bias=False)


def a_parameter(*shape):
    torch.manual_seed(1)
    return nn.Parameter(torch.randn(shape))


def gradients(shape, steps=4):
    return torch.randn(steps, *shape, generator=torch.Generator().manual_seed(2))


def follow(optimizer, parameter, along):
    for gradient in along:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


def test_lion_is_the_published_algorithm():
    parameter, along = a_parameter(3, 5), gradients((3, 5))
    weights, mean = parameter.detach().clone(), torch.zeros(3, 5)
    for gradient in along:
        update = torch.sign(0.9 * mean + 0.1 * gradient)
        weights = weights - 0.01 * (update + 0.2 * weights)
        mean = 0.99 * mean + 0.01 * gradient
    torch.testing.assert_close(follow(Lion([parameter], lr=0.01, weight_decay=0.2), parameter, along), weights)


def test_adafactor_is_the_published_algorithm_for_matrices():
    parameter, along = a_parameter(3, 5), gradients((3, 5))
    weights, rows, columns = parameter.detach().clone(), torch.zeros(3), torch.zeros(5)
    for step, gradient in enumerate(along, start=1):
        beta = 1 - step**-0.8
        squares = gradient**2 + 1e-30
        rows = beta * rows + (1 - beta) * squares.sum(1)
        columns = beta * columns + (1 - beta) * squares.sum(0)
        update = gradient / torch.sqrt(torch.outer(rows, columns) / rows.sum())
        update = update / max(1.0, float(update.square().mean().sqrt()) / 0.7)
        size = max(1e-3, float(weights.square().mean().sqrt())) * min(1e-2, 1 / math.sqrt(step))
        weights = weights - size * update - 0.1 * size * weights
    optimizer = Adafactor([parameter], clip_threshold=0.7, weight_decay=0.1)
    torch.testing.assert_close(follow(optimizer, parameter, along), weights)


def test_adafactor_keeps_all_squares_of_a_vector_and_can_average_updates():
    parameter, along = a_parameter(5), gradients((5,))
    weights, squares, mean = parameter.detach().clone(), torch.zeros(5), torch.zeros(5)
    for step, gradient in enumerate(along, start=1):
        squares = squares * (1 - step**-0.8) + gradient**2 * step**-0.8
        update = gradient / squares.sqrt()
        mean = 0.9 * mean + 0.1 * 0.05 * update / max(1.0, float(update.square().mean().sqrt()))
        weights = weights - mean
    options = {"beta1": 0.9, "relative_step": False, "scale_parameter": False}
    torch.testing.assert_close(follow(Adafactor([parameter], lr=0.05, **options), parameter, along), weights)


def test_adafactor_remembers_a_row_and_a_column():
    parameter = a_parameter(2, 3, 5)
    optimizer = Adafactor([parameter], lr=0.1, relative_step=False)
    follow(optimizer, parameter, gradients((2, 3, 5), 1))
    shapes = {name: tuple(value.shape) for name, value in optimizer.state[parameter].items() if name != "step"}
    assert shapes == {"exp_avg_sq_row": (2, 3), "exp_avg_sq_col": (2, 5)}


def test_adafactor_by_name_follows_the_learning_rate():
    group = optimizer_of("adafactor", a_model()).param_groups[0]
    assert (group["scale_parameter"], group["relative_step"], group["lr"]) == (False, False, 0.01)


def test_adafactor_warms_up_relative_steps():
    parameter = a_parameter(4)
    before = parameter.detach().clone()
    moved = follow(Adafactor([parameter], scale_parameter=False, warmup_init=True), parameter, [torch.ones(4)])
    # one step of 1e-6, as much as float32 can say
    torch.testing.assert_close(before - moved, torch.full((4,), 1e-6), atol=2e-7, rtol=0)


def test_muon_turns_hidden_matrices_and_leaves_the_rest_to_adamw():
    model = tiny_model("bert", "sequence-classification")
    other = copy.deepcopy(model)
    optimizer = optimizer_of("muon", model)
    assert isinstance(optimizer, Muon)
    model(**tiny_inputs(model)).loss.backward()
    other(**tiny_inputs(other)).loss.backward()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer.step()
    optimizer_of("adamw_torch_fused", other).step()
    name = "body.blocks.0.attention.query.weight"
    update = before[name] * (1 - 0.01 * 0.1) - model.get_parameter(name).detach()
    lengths = torch.linalg.svdvals(update) / (0.01 * 0.2 * math.sqrt(24))
    # near orthogonal, as far as the gradient of two short texts has directions
    assert (lengths < 1.3).all()
    assert (lengths[:12] > 0.5).all()
    for name in ("body.embed.tokens.weight", "head.output.weight", "body.blocks.0.attention.query.bias"):
        assert torch.equal(model.get_parameter(name), other.get_parameter(name)), name


def test_muon_without_torch_having_it_says_which_torch_does(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ConfigError, match=r"torch 2\.9; this is"):
        optimizer_of("muon", a_model())
