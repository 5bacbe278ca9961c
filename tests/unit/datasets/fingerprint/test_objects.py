"""Objects and values: a key for what they hold, and a refusal for what cannot be looked into."""

import collections
import dataclasses
import enum
import functools
import itertools
import json
import pickle
import random
import re
import sqlite3
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from madang.datasets.fingerprint import Hasher, UnhashableError, key, register
from madang.errors import InputError
from tests.unit.datasets.fingerprint.defined import function

PLAIN = "def f(x, y=2):\n    z = x * 3\n    return {'n': [z + i for i in range(y)]}\n"


class Plain:
    def __init__(self, value):
        self.value = value

    def run(self, x):
        return x, self.value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Stateful(Plain):
    def __getstate__(self):
        return {"value": self.value}


class WithCachedProperty(Plain):
    @functools.cached_property
    def twice(self):
        return self.value * 2


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Options:
    size: int = 1
    names: list = dataclasses.field(default_factory=list)


Point = collections.namedtuple("Point", "x y")


class TestObjects:
    @pytest.mark.parametrize("kind", [Plain, Slotted, Stateful, WithCachedProperty, Options])
    def test_count_by_what_they_hold(self, kind):
        assert key(kind([0])) == key(kind([0]))
        assert key(kind([0])) != key(kind([1]))

    def test_count_without_the_order_of_attributes(self):
        first, second = Plain(1), Plain(1)
        first.a, first.b = 1, 2
        second.b, second.a = 2, 1
        assert key(first) == key(second)

    def test_methods_count_with_their_object(self):
        assert key(Plain([0]).run) == key(Plain([0]).run)
        assert key(Plain([0]).run) != key(Plain([1]).run)
        assert key(Plain([0]).run) != key(Plain([0]).__init__)

    def test_cached_properties_do_not_count(self):
        value = WithCachedProperty(2)
        fresh = key(value)
        assert value.twice == 4
        assert key(value) == fresh

    def test_state_that_is_left_out_of_pickles_does_not_count(self):
        value = Stateful(1)
        fresh = key(value)
        value.connection = sqlite3.connect(":memory:")
        assert key(value) == fresh
        value.connection.close()

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("return x + 1", "return x + 2"),
            ("limit = 3", "limit = 4"),
            ("@staticmethod\n    def s(): return 1", "@staticmethod\n    def s(): return 2"),
            ("@property\n    def p(self): return 1", "@property\n    def p(self): return 2"),
            ("class A(Parent)", "class A(Parent, Mixin)"),
            ("a: int", "a: float"),
        ],
    )
    def test_own_classes_count_by_their_code(self, before, after):
        source = """
class Parent:
    pass
class Mixin:
    pass
class A(Parent):
    limit = 3
    a: int
    def run(self, x):
        return x + 1
    @staticmethod
    def s(): return 1
    @property
    def p(self): return 1
"""
        assert before in source
        changed = function(source.replace(before, after), "A")
        assert key(function("\n\n" + source, "A", "b.py")) == key(function(source, "A"))
        assert key(changed) != key(function(source, "A"))
        assert key(changed()) != key(function(source, "A")())

    def test_changing_a_parent_or_a_used_class_changes_the_key(self):
        source = "class A:\n    def r(self): return {}\nclass B(A):\n    def r(self): return super().r()\n"
        source += "def f(x): return B().r()"
        assert key(function(source.format(1))) != key(function(source.format(2)))

    def test_enums_and_their_members(self):
        keys = [key(each) for each in (Colour, Colour.RED, Colour.BLUE)]
        assert len(set(keys)) == 3
        source = "import enum\nclass E(enum.Enum):\n    A = {}\n"
        assert key(function(source.format(1), "E").A) == key(function(source.format(1), "E").A)
        assert key(function(source.format(1), "E").A) != key(function(source.format(2), "E").A)

    def test_dataclass_defaults_count(self):
        source = "import dataclasses\n@dataclasses.dataclass\nclass A:\n    a: int = {}\n"
        source += "    b: list = dataclasses.field(default_factory=lambda: [{}])\n"
        keys = [key(function(source.format(*numbers), "A")) for numbers in ((1, 1), (2, 1), (1, 2))]
        assert len(set(keys)) == 3

    def test_a_class_may_say_what_identifies_it(self):
        class Connected(Plain):
            def __madang_key__(self):
                return self.value

        first, second, other = Connected("db"), Connected("db"), Connected("other")
        first.lock = threading.Lock()
        assert key(first) == key(second) != key(other)

    def test_others_may_be_registered(self):
        class Foreign:
            def __init__(self, address):
                self.address, self.lock = address, threading.Lock()

        with pytest.raises(UnhashableError):
            key(Foreign("a"))
        register(Foreign, lambda value: value.address)
        assert key(Foreign("a")) == key(Foreign("a")) != key(Foreign("b"))


VALUES = {
    "none": None,
    "true": True,
    "one": 1,
    "minus one": -1,
    "one as float": 1.0,
    "zero": 0.0,
    "minus zero": -0.0,
    "nan": float("nan"),
    "large": 10**5000,
    "complex": 1j,
    "text": "1",
    "empty": "",
    "surrogate": "\ud800",
    "hangul": "마당",
    "bytes": b"1",
    "bytearray": bytearray(b"1"),
    "long": "a" * 10_000,
    "long bytes": b"a" * 10_000,
    "list": [1, 2],
    "nested": [[1], 2],
    "nested otherwise": [[1, 2]],
    "tuple": (1, 2),
    "dict": {"a": 1, "b": 2},
    "dict in another order": {"b": 2, "a": 1},
    "dict by numbers": {1: "a", 2: "b"},
    "set": {1, 2},
    "set of tuples": {(1, 2), (3, 4), ("a", "b")},
    "frozenset": frozenset([frozenset("abc"), frozenset("abd")]),
    "range": range(3),
    "slice": slice(3),
    "ellipsis": ...,
    "path": Path("a/b"),
    "pattern": re.compile("a"),
    "pattern with flags": re.compile("a", re.IGNORECASE),
    "ordered": collections.OrderedDict(a=1),
    "defaultdict": collections.defaultdict(list, a=[1]),
    "counter": collections.Counter("aab"),
    "deque": collections.deque([1]),
    "point": Point(1, 2),
    "member": Colour.RED,
    "object": Plain({"a": {1, 2}}),
    "class": Plain,
    "library class": json.JSONDecoder,
    "builtin": len,
    "method of a text": ",".join,
    "array": np.arange(6),
    "array of another shape": np.arange(6).reshape(2, 3),
    "array of another type": np.arange(6, dtype=np.int32),
    "array of objects": np.array([{"a": 1}, None], dtype=object),
    "array of texts": np.array(["a", "b"]),
    "array of times": np.array(["2020-01-01"], dtype="M8[s]"),
    "masked array": np.ma.array([1, 2], mask=[True, False]),
    "number": np.int64(1),
    "dtype": np.dtype("f4"),
    "ufunc": np.add,
    "random source": np.random.default_rng(3),
    "tensor": torch.arange(6),
    "tensor of another type": torch.arange(6.0),
    "bfloat16": torch.ones(2, dtype=torch.bfloat16),
    "torch dtype": torch.float32,
    "device": torch.device("cpu"),
    "torch source": torch.Generator().manual_seed(1),
    "table": pa.table({"a": [1, 2], "b": ["x", None]}),
    "arrow type": pa.list_(pa.int8()),
    "schema": pa.schema({"a": pa.int8()}, metadata={"k": "v"}),
    "scalar": pa.scalar(3),
    "frame": pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"])}),
    "series": pd.Series([1.5, 2.5], name="s", index=["p", "q"]),
    "index": pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]),
}


class TestValues:
    def test_no_two_of_them_share_a_key(self):
        keys = {name: key(value) for name, value in VALUES.items()}
        assert len(set(keys.values())) == len(VALUES)

    @pytest.mark.parametrize("name", [name for name in VALUES if name != "object"])
    def test_a_copy_has_the_same_key(self, name):
        assert key(pickle.loads(pickle.dumps(VALUES[name]))) == key(VALUES[name])

    def test_parts_are_kept_apart(self):
        keys = [key("a", "b"), key("ab"), key(["a", "b"]), key("a", "b", None), key(("a", "b")), key("b", "a"), key()]
        assert len(set(keys)) == len(keys)

    def test_equal_texts_that_are_several_objects(self):
        assert key(["abc"] * 2) == key(json.loads('["abc", "abc"]'))
        shared = [1]
        assert key([shared, shared]) == key([[1], [1]])

    def test_sets_count_without_their_order(self):
        numbers = [random.random() for _ in range(1000)]
        backwards: set[float] = set()
        for number in reversed(numbers):
            backwards.add(number)
        assert list(backwards) != list(set(numbers))
        assert key(set(numbers)) == key(backwards)

    def test_keys_are_32_hexadecimal_digits(self):
        assert re.fullmatch("[0-9a-f]{32}", key(1))

    def test_arrays_count_by_content_not_by_layout(self):
        whole = np.arange(12).reshape(3, 4)
        assert key(whole[:, ::2]) == key(whole[:, ::2].copy()) == key(np.asfortranarray(whole)[:, ::2])
        assert key(torch.arange(4)[::2]) == key(torch.tensor([0, 2]))

    def test_tables_count_by_content_not_by_chunks(self):
        texts = pa.array(["a" * 40, "b", None] * 200)
        few = pa.chunked_array([texts.slice(0, 300), texts.slice(300)])
        many = pa.chunked_array([texts.slice(i, 1) for i in range(600)])
        assert key(pa.table({"t": few})) == key(pa.table({"t": many})) == key(pa.table({"t": texts}))
        assert key(pa.table({"t": texts})) != key(pa.table({"t": texts.slice(1)}))

    def test_torch_modules_count_by_weights_and_compiling_does_not_change_them(self):
        torch.manual_seed(0)
        first, second = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
        fresh = key(first)
        assert fresh != key(second)
        assert key(torch.compile(first, backend="eager")) == key(first) == fresh

    def test_functions_made_into_ufuncs_are_refused(self):
        with pytest.raises(UnhashableError, match="ufunc"):
            key(np.frompyfunc(lambda x: x, 1, 1))


class TestCircles:
    def test_functions_that_call_each_other(self):
        source = "def f(n): return n == 0 or g(n - 1)\ndef g(n): return n != {} and f(n - 1)"
        assert key(function(source.format(0))) == key(function(source.format(0)))
        assert key(function(source.format(0))) != key(function(source.format(1)))
        assert key(function(source.format(0))) != key(function(source.format(0), "g"))

    def test_containers_that_hold_themselves(self):
        def circle(value):
            made = [value]
            made.append({"self": made, "others": (made, [made])})
            return made

        assert key(circle(1)) == key(circle(1)) != key(circle(2))

    def test_where_a_circle_closes_counts(self):
        first, second = [[1]], [[1]]
        first[0].append(first)
        second[0].append(second[0])
        assert key(first) != key(second)

    def test_what_stands_around_a_circle_does_not_change_it(self):
        def chain():
            nodes = [Plain(number) for number in range(5)]
            for before, after in itertools.pairwise(nodes):
                before.next, after.previous = after, before
            return nodes

        assert key([chain()[0]]) == key([chain()[0]])
        assert key(chain()) == key(chain())
        assert key(chain()[0]) != key(chain()[1])

    def test_circles_through_sets(self):
        def made(value):
            first = Plain(value)
            first.others = {first, Plain(1)}
            return first

        assert key(made(1)) == key(made(1)) != key(made(2))

    def test_many_functions_that_all_use_each_other_take_no_time(self):
        names = [f"f{number}" for number in range(40)]
        source = "\n".join(f"def {name}(x): return [{', '.join(names)}][x]" for name in names)
        assert key(function(source, "f0")) == key(function(source, "f0")) != key(function(source, "f1"))

    def test_depth_is_no_limit(self):
        deep: list = []
        for _ in range(5_000):
            deep = [deep]
        assert key(deep) != key(deep[0])


class TestRefusing:
    @pytest.mark.parametrize(
        ("value", "named"),
        [
            (threading.Lock(), "_thread.lock"),
            ((number for number in range(3)), "generator"),
            (sys.__stderr__, "_io.TextIOWrapper"),
            (threading.current_thread(), "attribute `_lock`"),
        ],
    )
    def test_what_cannot_be_recognised_is_named(self, value, named):
        with pytest.raises(UnhashableError, match=re.escape(named)):
            key(value)

    def test_the_place_is_told(self):
        connection = sqlite3.connect(":memory:")
        source = "def clean(x): return connection.execute(x)\ndef f(x): return clean(x)"
        with pytest.raises(UnhashableError) as caught:
            key(function(source, connection=connection))
        connection.close()
        assert "sqlite3.Connection" in str(caught.value)
        assert "the global `connection` used by function `clean`, in the global `clean` used by function `f`" in str(
            caught.value
        )
        assert "__madang_key__" in str(caught.value)

    def test_variables_attributes_items_and_arguments_are_named(self):
        lock = threading.Lock()

        def uses_it(x):
            return lock, x

        def has_default(x, held=lock):
            return x

        for value, place in [
            (uses_it, "the variable `lock` that function `uses_it` takes from around it"),
            (has_default, "the default arguments of function `has_default`"),
            (Plain(lock), "the attribute `value` of a Plain"),
            ({"k": [0, lock]}, "item 1 of a list, in the value of 'k' in a dict"),
            (functools.partial(len, held=lock), "the argument `held` of a partial"),
            ({lock}, "a member of a set"),
        ]:
            with pytest.raises(UnhashableError, match=re.escape(place)):
                key(value)

    def test_objects_that_fail_when_they_are_looked_at_are_refused(self):
        class Kind(type):
            def __getattr__(cls, name):
                raise RuntimeError("not today")

        class Moody(metaclass=Kind):
            pass

        with pytest.raises(UnhashableError, match="not today"):
            key([Moody()])

    def test_it_is_an_input_error_and_the_one_pickle_raises(self):
        class Unpicklable:
            def __getstate__(self):
                raise pickle.PicklingError("no")

        for kind in (InputError, TypeError, ValueError, pickle.PicklingError):
            with pytest.raises(kind):
                Hasher.hash(Unpicklable())


class TestHasher:
    def test_the_familiar_name(self):
        assert Hasher.hash("a") == key("a") != Hasher.hash("b")

    def test_one_value_after_the_other(self):
        def all_of(*values):
            hasher = Hasher()
            for value in values:
                hasher.update(value)
            return hasher.hexdigest()

        assert all_of("a", Plain(1)) == all_of("a", Plain(1))
        assert len({all_of("a", "b"), all_of("b", "a"), all_of("a"), all_of()}) == 4

    def test_bytes(self):
        assert Hasher.hash_bytes(b"ab") == Hasher.hash_bytes([b"a", b"b"]) != Hasher.hash_bytes(b"a")
