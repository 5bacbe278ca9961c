"""The classes people know by name: BertModel, RobertaForSequenceClassification, LlamaConfig, …

They are made from the families' tables when first asked for, because configs name them in `architectures` and users
import and print them.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from madang.auto.model import Model
from madang.auto.registry import families, family
from madang.errors import unknown_name


@cache
def model_class(model_type: str, task: str) -> type[Model]:
    """The class of `model_type` for `task`; a task its family has no head for is an error that lists those it has."""
    found = family(model_type)
    if task not in found.recipes:
        raise unknown_name(f"task for {model_type} models", task, found.recipes)
    recipe = found.recipes[task]
    made = type(
        recipe.name,
        (Model,),
        {
            "__module__": __name__,
            "__doc__": f"A {found.stem} body " + ("without a head." if task == "body" else f"with a head for {task}."),
            "family": found,
            "recipe": recipe,
            "task": None if recipe.build is None else task,
            "config_class": found.config,
        },
    )
    globals()[recipe.name] = made  # where pickle looks for it
    return made


def named_class(name: str) -> Any:
    """The model or config class called `name`, or None when no family has one."""
    if not name[:1].isupper():
        return None
    for found in families():
        if found.config.__name__ == name:
            return found.config
        for task, recipe in found.recipes.items():
            if recipe.name == name:
                return model_class(found.model_type, task)
    return None


def __getattr__(name: str) -> Any:
    # an unpickled model names its class before anybody asked for it
    if not name.startswith("_") and inspect.isclass(found := named_class(name)):
        return found
    raise AttributeError(name)
