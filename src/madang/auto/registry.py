"""Which model types there are, and the family of each; a family is imported when it is first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from madang.errors import unknown_name
from madang.families.family import Family

# model_type in config.json -> module in madang.families
MODEL_TYPES = {
    "bert": "bert",
    "deberta-v2": "deberta_v2",
    "gpt2": "gpt2",
    "llama": "llama",
    "roberta": "roberta",
    "t5": "t5",
    "vit": "vit",
}


@cache
def family(model_type: str) -> Family:
    """The family of models whose config.json says `model_type`; an unknown one is an error naming the nearest."""
    if model_type not in MODEL_TYPES:
        raise unknown_name("model_type", model_type, MODEL_TYPES)
    found: Family = import_module(f"madang.families.{MODEL_TYPES[model_type]}").FAMILY
    return found


def families() -> list[Family]:
    """All families, by model type."""
    return [family(name) for name in sorted(MODEL_TYPES)]
