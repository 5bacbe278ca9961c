import torch
from torch import nn

from madang.training import AdamW
from madang.training.optimizer import parameter_groups
from tests.unit.training.tiny import TinyClassifier


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


def test_adamw_has_the_defaults_of_older_tutorials():
    optimizer = AdamW([nn.Parameter(torch.zeros(1))], lr=5e-5, correct_bias=True)
    assert optimizer.defaults["weight_decay"] == 0.0
    assert isinstance(optimizer, torch.optim.AdamW)
