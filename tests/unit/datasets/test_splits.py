import pickle

import pytest

from madang.datasets.splits import NamedSplit, ReadInstruction, Split, instruction
from madang.errors import InputError, UnknownKeyError, WrongTypeError

SIZES = {"train": 200, "test": 300}


def rows(spec, sizes=SIZES):
    return [(part.splitname, part.from_, part.to) for part in ReadInstruction.from_spec(spec).to_absolute(sizes)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("train", [("train", 0, 200)]),
        ("train[:10]", [("train", 0, 10)]),
        ("train[-20:]", [("train", 180, 200)]),
        ("train[:-150]", [("train", 0, 50)]),
        ("train[:500]", [("train", 0, 200)]),
        ("train[:-500]", [("train", 0, 0)]),
        ("train[10%:-20%]", [("train", 20, 160)]),
        (" train [:50%] + test[1_0:20]".replace("n [", "n["), [("train", 0, 100), ("test", 10, 20)]),
        ("test[33%:66%](pct1_dropremainder)", [("test", 99, 198)]),
        ("train[150:100]", [("train", 150, 150)]),
    ],
)
def test_slices_mean_these_rows(spec, expected):
    assert rows(spec) == expected


def test_percents_round_to_the_closest_row_or_count_hundredths():
    assert rows("train[:33%]", {"train": 101}) == [("train", 0, 33)]
    assert rows("train[:50%]", {"train": 199}) == [("train", 0, 100)]
    assert rows("train[:50%](pct1_dropremainder)", {"train": 199}) == [("train", 0, 50)]
    with pytest.raises(InputError, match="whole hundredths, and 'train' has 99 rows"):
        rows("train[:50%](pct1_dropremainder)", {"train": 99})


@pytest.mark.parametrize(
    "spec",
    [
        "train",
        "train[2:10]",
        "train[15%:-20%]",
        "train+test",
        "train[:10%](pct1_dropremainder)+test[-10%:](pct1_dropremainder)",
    ],
)
def test_a_spec_is_written_as_it_was_read(spec):
    read = ReadInstruction.from_spec(spec)
    assert read.to_spec() == str(read) == spec
    assert pickle.loads(pickle.dumps(read)) == read


def test_instructions_are_made_from_numbers_and_added():
    made = ReadInstruction("train", to=10, unit="abs") + ReadInstruction("test", from_=-80, to=10, unit="%")
    assert made.to_spec() == "train[:10]+test[-80%:10%]"
    assert ReadInstruction.from_spec("train[:10%](closest)").to_spec() == "train[:10%]"
    with pytest.raises(InputError, match="different rounding"):
        _ = ReadInstruction.from_spec("train[:5%]") + ReadInstruction.from_spec("test[:5%](pct1_dropremainder)")
    with pytest.raises(TypeError):
        _ = ReadInstruction("train") + "test"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReadInstruction("train", unit="rows"), "unit must be either % or abs"),
        (lambda: ReadInstruction("train", unit="%", rounding="up"), "rounding must be"),
        (lambda: ReadInstruction("train", rounding="closest"), "forbidden to specify rounding"),
        (lambda: ReadInstruction("train", to=101, unit="%"), "between -100 and 100"),
        (lambda: ReadInstruction.from_spec("train[a:b]"), "Unrecognized instruction format"),
        (lambda: ReadInstruction.from_spec("train[1:2%]"), "use the same for both"),
        (lambda: NamedSplit("../train"), "Split name should match"),
    ],
)
def test_what_is_no_slice_is_explained(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_an_unknown_split_names_those_there_are():
    with pytest.raises(UnknownKeyError, match=r"Unknown split \"tset\". Should be one of \['train', 'test'\].*'test'"):
        rows("tset")
    with pytest.raises(ValueError):
        rows("tset")


def test_a_named_split_is_a_text():
    assert Split.TRAIN == "train"
    assert {Split.TRAIN: 1}["train"] == 1
    assert repr(Split("dev")) == "NamedSplit('dev')"
    assert Split.TRAIN + Split.TEST == "train+test"
    assert Split.TRAIN + "[:10%]" == "train[:10%]"
    assert isinstance(pickle.loads(pickle.dumps(Split.TRAIN)), NamedSplit)


def test_all_is_every_split():
    assert instruction(Split.ALL, ["train", "test"]).to_spec() == "train+test"
    with pytest.raises(WrongTypeError, match="split= takes a text"):
        instruction(3, ["train"])
