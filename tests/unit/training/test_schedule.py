import math

import pytest
import torch

from madang.errors import InputError, UnknownNameError
from madang.training import get_cosine_schedule_with_warmup, get_scheduler


def rates(name, steps=10, warmup=2, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_scheduler(name, optimizer, warmup, steps, **options)
    seen = []
    for _ in range(steps):
        seen.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return [*seen, schedule.get_last_lr()[0]]


def test_linear_rises_and_falls_in_straight_lines():
    assert rates("linear") == pytest.approx([0, 0.5, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0])


def test_cosine_falls_along_half_a_cosine():
    assert rates("cosine")[2:] == pytest.approx([(1 + math.cos(math.pi * step / 8)) / 2 for step in range(9)])


def test_constant_stays_with_and_without_warm_up():
    assert rates("constant") == [1.0] * 11
    assert rates("constant_with_warmup") == [0, 0.5] + [1.0] * 9


def test_cycles_of_the_cosine_can_be_chosen():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_cosine_schedule_with_warmup(optimizer, 0, 4, num_cycles=1.0)
    assert schedule.lr_lambdas[0](2) == pytest.approx(0)
    assert schedule.lr_lambdas[0](4) == pytest.approx(1)


def test_mistakes_are_explained():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(UnknownNameError, match="Did you mean 'cosine'"):
        get_scheduler("cosinus", optimizer, 0, 1)
    with pytest.raises(InputError, match="needs num_training_steps"):
        get_scheduler("linear", optimizer, 0)
