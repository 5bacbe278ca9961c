"""What loading says, and that it is silent when there is nothing to say."""

from madang.checkpoints.report import LoadingReport


def test_nothing_to_say_is_an_empty_text():
    assert str(LoadingReport("BertModel", "somewhere", unused=["cls.predictions.bias"], loaded=3)) == ""


def test_new_parameters_are_named_and_to_be_trained():
    said = str(LoadingReport("BertForX", "somewhere", missing=["classifier.weight", "classifier.bias"], loaded=37))
    assert said.splitlines()[0] == "BertForX: 37 tensors from somewhere"
    assert "`classifier.weight`, `classifier.bias`" in said
    assert "Train before use" in said


def test_a_long_list_is_cut_and_counted():
    said = str(LoadingReport("BertForX", "somewhere", missing=[f"w{number}" for number in range(40)]))
    assert "`w11` and 28 more" in said
    assert "w12" not in said


def test_other_shapes_say_both():
    said = str(LoadingReport("BertForX", "somewhere", mismatched=[("classifier.weight", (2, 24), (7, 24))]))
    assert "(2, 24)" in said
    assert "(7, 24)" in said


def test_the_info_has_the_familiar_keys():
    report = LoadingReport("X", "y", ["a"], [("b", (1,), (2,))], ["c"], ["d"])
    assert report.info() == {
        "missing_keys": ["a"],
        "unexpected_keys": ["d", "c"],
        "mismatched_keys": [("b", (1,), (2,))],
        "error_msgs": [],
    }
    assert report.drawn == ["a", "b"]
