import pickle

import numpy as np

from madang.datasets import Dataset, recipe
from madang.datasets.recipe import Recipe


def test_the_same_steps_have_the_same_key():
    one = Recipe(Recipe(Recipe.beginning("x"), "cut", start=0, stop=2), "select", rows=np.array([1, 0]))
    two = Recipe(Recipe(Recipe.beginning("x"), "cut", start=0, stop=2), "select", rows=np.array([1, 0]))
    assert one.key == two.key
    assert len(one.key) == 32


def test_other_steps_arguments_and_orders_have_others():
    begin = Recipe.beginning("x")
    keys = {
        Recipe(begin, "cut", start=0, stop=2).key,
        Recipe(begin, "cut", start=0, stop=3).key,
        Recipe(begin, "keep", start=0, stop=2).key,
        Recipe(Recipe.beginning("y"), "cut", start=0, stop=2).key,
        Recipe(Recipe(begin, "a"), "b").key,
        Recipe(Recipe(begin, "b"), "a").key,
    }
    assert len(keys) == 6


def test_a_beginning_of_its_own_is_like_nothing_else():
    assert Recipe.beginning().key != Recipe.beginning().key
    assert Recipe.beginning("known").key == "known"


def test_nothing_is_computed_before_somebody_asks(monkeypatch):
    asked = []
    monkeypatch.setattr(recipe, "key", lambda *parts: asked.append(parts) or "k")
    data = Dataset.from_dict({"a": list(range(100))}).shuffle(seed=1).select(range(50)).rename_column("a", "b")
    assert asked == []
    assert (data._fingerprint, len(asked)) == ("k", 3)
    assert (data._fingerprint, len(asked)) == ("k", 3)


def test_a_long_chain_is_no_deep_recursion():
    made = Recipe.beginning("x")
    for _ in range(5000):
        made = Recipe(made, "step")
    assert len(made.key) == 32


def test_arguments_are_let_go_once_they_are_counted():
    made = Recipe(Recipe.beginning("x"), "select", rows=np.arange(1000))
    assert made.key
    assert (made._before, made._arguments) == (None, {})


def test_it_pickles_as_its_key():
    made = Recipe(Recipe.beginning("x"), "map", function=lambda row: row)
    assert pickle.loads(pickle.dumps(made)).key == made.key


class TestOfDatasets:
    """The fingerprint that other libraries read."""

    def test_steps_repeated_give_the_same(self):
        data = Dataset.from_dict({"a": [3, 1, 2]})
        for step in (
            lambda d: d.select([2, 0]),
            lambda d: d.sort("a"),
            lambda d: d.shuffle(seed=1),
            lambda d: d.cast_column("a", d.features["a"]),
            lambda d: d.with_format("torch"),
            lambda d: d.filter(lambda row: row["a"] > 1),
        ):
            assert step(data)._fingerprint == step(data)._fingerprint

    def test_other_rows_give_another(self):
        data = Dataset.from_dict({"a": [3, 1, 2]})
        made = [data, data.select([0]), data.select([1]), data.shuffle(seed=1), data.with_format("numpy"), data.take(2)]
        assert len({one._fingerprint for one in made}) == 6
        assert Dataset.from_dict({"a": [3]})._fingerprint != Dataset.from_dict({"a": [3]})._fingerprint

    def test_nothing_returned_keeps_it(self):
        data = Dataset.from_dict({"a": [3, 1, 2]})
        assert data.map(lambda row: None)._fingerprint == data._fingerprint
        assert data.map(lambda row: None, remove_columns="a")._fingerprint == data._fingerprint

    def test_one_may_be_given(self):
        data = Dataset.from_dict({"a": [3, 1, 2]})
        for made in (
            data.select([1], new_fingerprint="mine"),
            data.map(lambda row: {"b": 1}, new_fingerprint="mine"),
            data.filter(lambda row: True, new_fingerprint="mine"),
            data.sort("a", new_fingerprint="mine"),
            data.train_test_split(1, train_new_fingerprint="mine")["train"],
        ):
            assert made._fingerprint == "mine"
