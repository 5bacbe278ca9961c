"""Putting a model together from its family's recipe, and how its parameters are called on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from madang.checkpoints.load import Naming
from madang.checkpoints.names import Doubled, Fused, Ignore, Rename, Table, Transposed
from madang.families.family import draw

if TYPE_CHECKING:
    from madang.auto.model import Model


def build_parts(model: Model, add_pooling_layer: bool = True) -> None:
    """Give `model` its body (with a pooler where the head wants one) and its head, both still empty."""
    family, recipe, config = model.family, model.recipe, model.config
    model.body = (recipe.body or family.body)(config)
    if recipe.pooler and add_pooling_layer and family.pooler is not None:
        model.body.pooler = family.pooler(config)
    model.head = recipe.build(config) if recipe.build is not None else None


def naming_of(model: Model) -> Naming:
    """The body's table and the head's in one, in the model's own names."""
    recipe, family = model.recipe, model.family
    prefix = dotted(model.base_model_prefix) if recipe.build is not None else ""
    body = _placed(family.weights(model.config), prefix, "body.")
    table = {**body, **_placed(recipe.table(model.config), "", "head.")}
    others = [other.table(model.config) for other in family.recipes.values() if other is not recipe]
    elsewhere = {
        dotted(family.prefix),
        *(dotted(other.prefix or family.prefix) for other in family.recipes.values()),
        "",
    }
    return Naming(table, prefix, tuple(sorted(elsewhere - {prefix})), others)


def dotted(prefix: str) -> str:
    """`bert` as it stands before a name: `bert.`; nothing stays nothing."""
    return f"{prefix}." if prefix else ""


def _placed(table: Table, disk_prefix: str, model_prefix: str) -> dict[str, str | Rename | Ignore]:
    """The same table with prefixes on both sides."""
    return {disk_prefix + disk: _moved(entry, model_prefix) for disk, entry in table.items()}


def _moved(entry: str | Rename | Ignore, prefix: str) -> str | Rename | Ignore:
    if isinstance(entry, str):
        return prefix + entry
    if isinstance(entry, Ignore):
        return entry
    return _moved_rename(entry, prefix)


def _moved_rename(entry: Rename, prefix: str) -> Rename:
    if isinstance(entry, Transposed):
        return Transposed(_moved_rename(entry.inner, prefix))
    if isinstance(entry, Doubled):
        return Doubled(prefix + entry.target, entry.other)
    if isinstance(entry, Fused):
        return Fused(*(prefix + part for part in entry.parts))
    return Rename(prefix + entry.target)


def draw_fresh(model: Model, names: list[str]) -> None:
    """Fresh values for the parameters called `names`."""
    config: Any = model.config
    spread = model.family.spread(config) if model.family.spread is not None else {}
    draw(model, names, getattr(config, "initializer_range", 0.02), spread)
