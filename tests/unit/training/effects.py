"""One check for each training argument: that it changes what happens, not that it is stored."""

import inspect

import pytest
import torch

from madang.testing import tiny_model


class Checks(dict):
    """Checks by the names of the arguments that they are about."""

    def of(self, *names):
        """Marks a check; it asks for fixtures as tests do."""

        def note(function):
            assert not set(names) & set(self)
            self.update(dict.fromkeys(names, function))
            return function

        return note

    def each(self):
        """Makes one test for each argument out of a function that gets the check done."""
        return pytest.mark.parametrize("check", [pytest.param(check, id=name) for name, check in self.items()])


def carry_out(check, request):
    """Call a check with the fixtures that it asks for."""
    check(**{part: request.getfixturevalue(part) for part in inspect.signature(check).parameters})


def logged(trainer, key):
    """The values of a number in the log."""
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def changes(run, base=None, **given):
    """Whether the arguments change the trained weights."""
    base = base or {}
    return not torch.equal(run(**base).model.head.weight, run(**base, **given).model.head.weight)


def bert():
    """A small model of the real kind."""
    return tiny_model("bert", "sequence-classification")
