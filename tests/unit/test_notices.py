"""Warnings point at the line of the person who called."""

import warnings

from madang.testing import tiny_config, tiny_model


def test_a_notice_names_the_callers_file(tmp_path):
    from madang import AutoModelForSequenceClassification

    tiny_model("bert", "body").save_pretrained(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AutoModelForSequenceClassification.from_pretrained(tmp_path, config=tiny_config("bert"))
    assert [warning.filename for warning in caught] == [__file__]
