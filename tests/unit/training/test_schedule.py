import inspect
import math
import pickle

import pytest
import torch

from madang.errors import ConfigError, InputError, UnknownNameError
from madang.training import get_cosine_schedule_with_warmup, get_scheduler
from madang.training.schedule import (
    SCHEDULES,
    SchedulerType,
    curve,
    curve_arguments,
    get_inverse_sqrt_schedule,
    get_reduce_on_plateau_schedule,
    get_wsd_schedule,
)

NEEDED = {
    "warmup_stable_decay": {"num_decay_steps": 4},
    "cosine_with_min_lr": {"min_lr_rate": 0.1},
    "cosine_warmup_with_min_lr": {"min_lr_rate": 0.1},
}
CURVES = [name for name in SCHEDULES if name != "reduce_lr_on_plateau"]


def an_optimizer(lr=1.0):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates(name, steps=10, warmup=2, lr=1.0, **options):
    """The learning rate of every step, and the one after the last."""
    optimizer = an_optimizer(lr)
    schedule = get_scheduler(name, optimizer, warmup, steps, options)
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
    schedule = get_cosine_schedule_with_warmup(an_optimizer(), 0, 4, num_cycles=1.0)
    assert schedule.lr_lambdas[0](2) == pytest.approx(0)
    assert schedule.lr_lambdas[0](4) == pytest.approx(1)


def test_restarts_begin_from_the_top_again():
    half = [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    assert rates("cosine_with_restarts", num_cycles=2)[2:] == pytest.approx([*half, *half, 0])


def test_polynomial_ends_at_the_given_learning_rate_and_stays_there():
    seen = rates("polynomial", lr=0.5, lr_end=0.1, power=2)
    assert seen[2:] == pytest.approx([0.4 * (1 - step / 8) ** 2 + 0.1 for step in range(9)])
    late = curve("polynomial")(99, **curve_arguments("polynomial", 0.5, 2, 10, {"lr_end": 0.1}))
    assert late * 0.5 == pytest.approx(0.1)


def test_inverse_square_root_falls_from_the_end_of_the_warm_up():
    assert rates("inverse_sqrt", warmup=4)[4:] == pytest.approx([math.sqrt(4 / step) for step in range(4, 11)])
    slow = get_inverse_sqrt_schedule(an_optimizer(), 0, timescale=3).lr_lambdas[0]
    assert [slow(step) for step in (0, 9)] == pytest.approx([1, 0.5])


def test_a_lowest_learning_rate_may_be_a_number_or_a_part():
    seen = rates("cosine_with_min_lr", lr=0.5, min_lr=0.1)
    assert (seen[2], seen[-1], min(seen[2:])) == pytest.approx((0.5, 0.1, 0.1))
    assert seen == pytest.approx(rates("cosine_with_min_lr", lr=0.5, min_lr_rate=0.2))


def test_a_warm_up_may_begin_above_zero():
    assert rates("cosine_warmup_with_min_lr", min_lr=0.1)[:3] == pytest.approx([0.5, 1, 0.9657], abs=1e-4)
    assert rates("cosine_warmup_with_min_lr", min_lr=0.1, warmup_lr_rate=0.3)[:2] == pytest.approx([0.3, 1])
    assert rates("cosine_warmup_with_min_lr", min_lr=0.1)[9] == pytest.approx(0.1)


def test_warm_up_stable_decay_fills_the_middle():
    seen = rates("warmup_stable_decay", num_decay_steps=4, decay_type="linear", min_lr_ratio=0.2)
    assert seen == pytest.approx([0.2, 0.6, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    told = rates("warmup_stable_decay", num_decay_steps=4, num_stable_steps=1, decay_type="1-sqrt")
    assert told[2:8] == pytest.approx([1, 1, 0.5, 1 - math.sqrt(0.5), 1 - math.sqrt(0.75), 0])


def test_the_flat_part_alone_says_how_long_training_is():
    schedule = get_wsd_schedule(an_optimizer(), 0, 2, num_stable_steps=3, decay_type="linear")
    assert [schedule.lr_lambdas[0](step) for step in range(6)] == [1, 1, 1, 1, 0.5, 0]


def test_a_plateau_lowers_the_learning_rate_which_can_be_read_before():
    optimizer = an_optimizer(0.8)
    schedule = get_scheduler("reduce_lr_on_plateau", optimizer, 5, 10, {"factor": 0.5, "patience": 0})
    assert schedule.get_last_lr() == [0.8]
    for loss in (1.0, 0.9, 0.9):
        schedule.step(loss)
    assert schedule.get_last_lr() == [0.4]


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_runs_alone(name):
    shape, arguments = curve(name), curve_arguments(name, 0.5, 3, 12, NEEDED.get(name))
    alone = {"math": math}
    exec(inspect.getsource(shape), alone)
    written = [alone[shape.__name__](step, **arguments) for step in range(12)]
    assert [0.5 * factor for factor in written] == rates(name, 12, 3, 0.5, **NEEDED.get(name, {}))[:12]


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_on_where_it_was_saved(name):
    def go(schedule, optimizer, steps):
        for step in range(steps):
            optimizer.step()
            schedule.step(*[float(step)] * (name == "reduce_lr_on_plateau"))
            yield optimizer.param_groups[0]["lr"]

    def begin():
        optimizer = an_optimizer()
        options = {"patience": 1} if name == "reduce_lr_on_plateau" else NEEDED.get(name)
        return get_scheduler(name, optimizer, 3, 12, options), optimizer

    schedule, optimizer = begin()
    list(go(schedule, optimizer, 5))
    saved = pickle.dumps((schedule.state_dict(), optimizer.state_dict()))
    wanted = list(go(schedule, optimizer, 5))
    schedule, optimizer = begin()
    for part, state in zip((schedule, optimizer), pickle.loads(saved), strict=True):
        part.load_state_dict(state)
    assert list(go(schedule, optimizer, 5)) == wanted


@pytest.mark.parametrize("name", CURVES)
def test_no_step_divides_by_zero(name):
    options = {"num_decay_steps": 0} if name == "warmup_stable_decay" else NEEDED.get(name)
    for warmup, total in ((0, 0), (0, 1), (1, 1), (3, 3)):
        arguments = curve_arguments(name, 0.5, warmup, total, options)
        assert all(0 <= curve(name)(step, **arguments) <= 1 for step in range(total + 3)), (warmup, total)


def test_every_name_is_a_schedule():
    assert set(SchedulerType) == set(SCHEDULES)
    assert rates(SchedulerType.LINEAR) == rates("linear")


def test_a_name_that_is_not_known_gets_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'cosine'"):
        get_scheduler("cosinus", an_optimizer(), 0, 1)
    with pytest.raises(UnknownNameError, match=r"option of the schedule 'cosine': 'num_cycle'.*'num_cycles'"):
        rates("cosine", num_cycle=2)
    with pytest.raises(UnknownNameError, match="'patience'"):
        get_reduce_on_plateau_schedule(an_optimizer(), patiens=2)
    with pytest.raises(InputError, match="'constant_with_warmup' has no options, but lr_end was given"):
        rates("constant_with_warmup", lr_end=0)
    with pytest.raises(UnknownNameError, match=r"decay_type 'lineal'.*'linear'"):
        rates("warmup_stable_decay", num_decay_steps=2, decay_type="lineal")
    with pytest.raises(UnknownNameError, match="reduce_lr_on_plateau"):
        curve("reduce_lr_on_plateau")


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match="'linear' needs num_training_steps"):
        get_scheduler("linear", an_optimizer(), 0)
    with pytest.raises(InputError, match="'inverse_sqrt' needs num_warmup_steps"):
        get_scheduler("inverse_sqrt", an_optimizer())
    with pytest.raises(InputError, match="'warmup_stable_decay' needs num_decay_steps"):
        rates("warmup_stable_decay")
    with pytest.raises(InputError, match="num_training_steps, or num_stable_steps"):
        get_wsd_schedule(an_optimizer(), 0, 2)


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="found none"):
        rates("cosine_with_min_lr")
    with pytest.raises(ConfigError, match="found min_lr and min_lr_rate"):
        rates("cosine_with_min_lr", min_lr=0.1, min_lr_rate=0.1)
    with pytest.raises(ConfigError, match=r"lr_end=1e-07 .* begins at 1e-08"):
        rates("polynomial", lr=1e-8)
    with pytest.raises(ConfigError, match="2 steps of warm-up and 9 of decay are more than the 10 steps"):
        rates("warmup_stable_decay", num_decay_steps=9)
