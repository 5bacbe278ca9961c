"""Named classes, made from the families' tables."""

import pickle

import pytest

from madang.auto import Model
from madang.auto.classes import model_class, named_class
from madang.auto.registry import MODEL_TYPES, families, family
from madang.errors import UnknownNameError


def test_a_class_is_made_once():
    assert model_class("bert", "body") is model_class("bert", "body") is named_class("BertModel")


@pytest.mark.parametrize("found", families(), ids=lambda found: found.model_type)
def test_every_class_is_found_by_its_name(found):
    assert named_class(found.config.__name__) is found.config
    for task, recipe in found.recipes.items():
        made = named_class(recipe.name)
        assert made is model_class(found.model_type, task)
        assert issubclass(made, Model)
        assert made.__doc__
        assert pickle.loads(pickle.dumps(made)) is made


def test_names_of_nothing_are_nothing():
    assert named_class("BertForCooking") is None
    assert named_class("bert") is None


def test_a_task_that_a_family_lacks_lists_those_it_has():
    with pytest.raises(UnknownNameError, match=r"task for vit models 'causal-language'.*body, image-classification"):
        model_class("vit", "causal-language")


def test_every_model_type_is_its_family():
    for model_type in MODEL_TYPES:
        assert family(model_type).model_type == family(model_type).config.model_type == model_type
