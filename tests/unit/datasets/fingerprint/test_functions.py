"""Functions: a key for what they do, in every process, wherever they stand."""

import collections
import functools
import importlib
import json
import pickle
import random
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from madang.datasets.fingerprint import key
from tests.unit.datasets.fingerprint.defined import function

PLAIN = "def f(x, y=2):\n    z = x * 3\n    return {'n': [z + i for i in range(y)]}\n"


class TestWhereAFunctionStands:
    @pytest.mark.parametrize(
        "source",
        [
            "\n\n\n" + PLAIN,
            "import os\n\ndef other():\n    return 5\n\n" + PLAIN,
            "def f(x, y=2):\n    # three times\n    z = x * 3  # here\n\n    return {'n': [z + i for i in range(y)]}\n",
            "def f(x,   y = 2):\n        z=x*3\n        return { 'n' :[ z+i   for i in range( y ) ] }\n",
            "def f(x, y=2):\n    '''Three times.'''\n    z = x * 3\n    return {'n': [z + i for i in range(y)]}\n",
            "def f(x: int, y: int = 2) -> dict:\n    z = x * 3\n    return {'n': [z + i for i in range(y)]}\n",
            "if True:\n    if True:\n" + textwrap.indent(PLAIN, "        "),
        ],
    )
    def test_moving_indenting_commenting_and_describing_keep_the_key(self, source):
        assert key(function(source, filename="b.py")) == key(function(PLAIN))

    def test_blanks_in_a_lambda_keep_the_key(self):
        assert key(eval("lambda x:   {'n':x}")) == key(eval("lambda x: {'n': x}"))

    def test_notebook_cells_and_scripts_agree(self):
        cells = [function(PLAIN, filename=f"/tmp/ipykernel_{number}/{number}.py") for number in (1, 22)]
        assert key(cells[0]) == key(cells[1]) == key(function(PLAIN, filename="<ipython-input-3-a>"))

    def test_the_name_of_the_module_keeps_the_key(self, module):
        source = (
            "LIMIT = 3\n\ndef f(x):\n    return x[:LIMIT]\n\nclass A:\n    def run(self, x):\n        return f(x)\n"
        )
        first, second = module("one_name", source), module("another_name", source)
        assert key(first.f) == key(second.f)
        assert key(first.A().run) == key(second.A().run)


class TestWhatAFunctionDoes:
    @pytest.mark.parametrize(
        "source",
        [
            PLAIN.replace("x * 3", "x * 4"),
            PLAIN.replace("x * 3", "x * 3.0"),
            PLAIN.replace("x * 3", "x + 3"),
            PLAIN.replace("y=2", "y=3"),
            PLAIN.replace("y=2", "y=True"),
            PLAIN.replace("y=2", "*, y=2"),
            PLAIN.replace("'n'", "'m'"),
            PLAIN.replace("z + i", "z - i"),
            PLAIN.replace("range", "reversed"),
            PLAIN.replace("def f", "async def f"),
            PLAIN.replace("return", "yield"),
        ],
    )
    def test_any_change_of_it_changes_the_key(self, source):
        assert key(function(source)) != key(function(PLAIN))

    def test_defaults_of_keyword_only_arguments_count(self):
        assert key(function("def f(*, a=1): return a")) != key(function("def f(*, a=2): return a"))

    def test_functions_inside_count(self):
        source = "def f(x):\n    def inner(y):\n        return lambda z: z + {}\n    return inner\n"
        assert key(function(source.format(1))) != key(function(source.format(2)))

    def test_variables_around_it_count(self):
        def make(limit):
            return lambda x: x[:limit]

        assert key(make([1])) == key(make([1]))
        assert key(make([1])) != key(make([2]))

    def test_globals_it_uses_count_and_others_do_not(self):
        source = "def f(x): return x + one.two"
        first = function(source, one=collections.Counter(a=1), two=1, unused=threading.Lock())
        assert key(first) == key(function(source, one=collections.Counter(a=1), two=2))
        assert key(first) != key(function(source, one=collections.Counter(a=2), two=1))

    def test_globals_used_only_inside_inner_functions_count(self):
        for source in ("def f(x): return [limit for _ in x]", "def f(x): return lambda: limit"):
            assert key(function(source, limit=1)) != key(function(source, limit=2))

    def test_a_global_that_comes_later_changes_the_key(self):
        alone = function("def f(x): return helper(x)")
        before = key(alone)
        alone.__globals__["helper"] = str
        assert key(alone) != before

    def test_helpers_of_helpers_count(self):
        source = "def a(x): return b(x)\ndef b(x): return c(x)\ndef c(x): return {}\ndef f(x): return a(x)"
        assert key(function(source.format("x + 1"))) != key(function(source.format("x + 2")))

    def test_a_counter_that_it_reads_and_writes_counts_by_its_value(self):
        f = function("def f(x):\n    global n\n    n += 1\n    return n", n=0)
        fresh = key(f)
        f(0)
        assert key(f) != fresh
        f.__globals__["n"] = 0
        assert key(f) == fresh

    def test_a_global_that_is_only_written_does_not_count(self):
        f = function("def f(x):\n    global last\n    last = x\n    return x")
        fresh = key(f)
        f(5)
        assert key(f) == fresh

    def test_calling_a_function_does_not_change_its_key(self):
        f = function("def f(x):\n    return [a + len(str(a)) for a in x if a]")
        fresh = key(f)
        for _ in range(200):  # enough for the interpreter to specialise it
            f([1, 2])
        assert key(f) == fresh

    def test_partials_count_by_function_and_arguments(self):
        f = function(PLAIN)
        assert key(functools.partial(f, y=1, z=2)) == key(functools.partial(f, z=2, y=1))
        keys = [key(each) for each in (f, functools.partial(f), functools.partial(f, 1), functools.partial(f, y=1))]
        assert len(set(keys)) == 4

    def test_cached_functions_count_by_what_they_wrap_not_by_what_they_remember(self):
        source = "import functools\n@functools.lru_cache\ndef f(x): return x + {}"
        f = function(source.format(1))
        fresh = key(f)
        f(3)
        assert key(f) == fresh != key(function(source.format(2)))

    def test_decorated_functions_count_by_what_is_inside(self):
        source = """
            import functools
            def twice(inner):
                @functools.wraps(inner)
                def outer(*arguments):
                    return inner(*arguments) * {}
                return outer
            @twice
            def f(x): return x + {}
        """
        keys = [key(function(source.format(*numbers))) for numbers in ((2, 1), (2, 2), (3, 1), (2, 1))]
        assert keys[0] == keys[3]
        assert len(set(keys)) == 3


class TestModules:
    def test_changing_an_imported_function_changes_the_key(self, module):
        def current():
            namespace = {"helpers": importlib.import_module("helpers")}
            return key(function("def f(x): return helpers.clean(x)", **namespace))

        module("helpers", "def clean(x): return x.strip()\ndef other(x): return 1\n")
        before = current()
        module("helpers", "def clean(x): return x.lower()\ndef other(x): return 1\n")
        assert current() != before
        module("helpers", "import threading\nlock = threading.Lock()\n\ndef clean(x):\n    return x.strip()\n")
        assert current() == before  # what is not used does not count

    def test_values_and_functions_behind_the_function_count(self, module):
        text = "RULES = {}\n\ndef inner(x):\n    return RULES.get(x)\n\ndef clean(x):\n    return inner(x)\n"
        source = "from helpers import clean\ndef f(x): return clean(x)"
        module("helpers", text.format("{'a': 1}"))
        before = key(function(source))
        module("helpers", text.format("{'a': 2}"))
        assert key(function(source)) != before

    def test_packages_are_followed_to_the_attribute(self, module):
        source = "def f(x): return pack.parts.clean(x)"
        module("pack.__init__", "")
        module("pack.parts", "def clean(x): return 1\nimport threading\nlock = threading.Lock()\n")
        before = key(function(source, pack=sys.modules["pack"]))
        module("pack.parts", "def clean(x): return 2\n")
        assert key(function(source, pack=importlib.import_module("pack"))) != before

    @pytest.mark.parametrize(
        "source",
        [
            "def f(x):\n    import helpers\n    return helpers.clean(x)",
            "def f(x):\n    import helpers as h\n    return h.clean(x)",
            "def f(x):\n    from helpers import clean\n    return clean(x)",
            "def f(x):\n    from helpers import other, clean as c\n    return c(x)",
            "def f(x):\n    import helpers\n    return [helpers.clean(a) for a in x]",
        ],
    )
    def test_imports_inside_the_function_count_whether_they_happened_or_not(self, module, source):
        text = "def clean(x):\n    return {}\n\ndef other(x):\n    return 0\n"
        module("helpers", text.format(1))
        before = key(function(source))
        del sys.modules["helpers"]
        assert key(function(source)) == before
        module("helpers", text.format(2))
        assert key(function(source)) != before

    def test_a_module_that_is_not_there_is_no_error(self):
        source = "def f(x):\n    try:\n        import not_there_at_all\n    except ImportError:\n        return x"
        assert key(function(source)) == key(function(source))

    def test_a_module_used_as_a_value_counts_whole(self, module):
        source = "def f(x): return getattr(helpers, x)"
        before = key(function(source, helpers=module("helpers", "A = 1\n")))
        assert key(function(source, helpers=module("helpers", "A = 2\n"))) != before

    def test_installed_modules_count_by_name(self):
        source = "def f(x): return tool.dumps(x)"
        assert key(function(source, tool=json)) == key(function(source, tool=json))
        assert key(function(source, tool=json)) != key(function(source, tool=pickle))

    def test_installed_functions_do_not_depend_on_state(self):
        source = "def f(x): return shuffle(x)"
        before = key(function(source, shuffle=random.shuffle), np.random.rand)
        random.random(), np.random.rand()
        assert key(function(source, shuffle=random.shuffle), np.random.rand) == before
        assert key(random.shuffle) != key(random.choice)


SCRIPT = """
import sys, json
import numpy as np
from madang.datasets.fingerprint import key
from helpers import clean, Options
import helpers

MARKS = {"a", "b", "c", "마당"}
TABLE = {name: number for number, name in enumerate(sorted(MARKS))}

def inner(x):
    return [m for m in MARKS if m in x]

def tokenize(batch, n=3):
    return {"n": [helpers.count(clean(x)) + TABLE.get(x, n) + np.int64(1) for x in batch["x"]], "m": inner(batch)}

print(json.dumps([key(tokenize), key(Options(frozenset(MARKS))), key({("x", 1), ("y", 2)}), key(inner, MARKS)]))
"""
HELPERS = """
class Options:
    def __init__(self, names): self.names = names
    def __call__(self, x): return x in self.names
def clean(x): return x.strip(SET)
def count(x): return len(x)
SET = " .,"
"""


def test_keys_are_the_same_in_other_processes_and_folders(tmp_path):
    printed = []
    for seed, folder, helpers in [
        ("0", "a", HELPERS),
        ("1", "b", "\n# moved\n" + HELPERS),
        ("2", "c", "X = 1" + HELPERS),
    ]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "helpers.py").write_text(helpers, encoding="utf-8")
        script = tmp_path / folder / f"script_{seed}.py"
        script.write_text("\n" * int(seed) + SCRIPT, encoding="utf-8")
        # without the safe path, the folder of the script comes first
        done = subprocess.run(
            [sys.executable, str(script)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert printed[0] == printed[1] == printed[2]


def test_changing_a_helper_in_another_file_changes_the_key_of_the_next_run(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    printed = []
    for helpers in (HELPERS, HELPERS.replace('" .,"', '" ."'), HELPERS.replace("len(x)", "len(x) + 1")):
        (tmp_path / "helpers.py").write_text(helpers, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-B", str(tmp_path / "script.py")],
            env={"PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed.append(json.loads(done.stdout)[0])
    assert len(set(printed)) == 3
