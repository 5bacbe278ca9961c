"""What a model returns: one object, read by attribute, by name, by index, or unpacked with **."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


class ModelOutput(OrderedDict[str, Any]):
    """Named results in order; what was not computed is not in it, and reads as None by attribute.

    `output.logits`, `output["logits"]`, `output[0]`, `output[:2]`, `dict(**output)` and `output.to_tuple()` all work.
    """

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return OrderedDict.__getitem__(self, name)
        if name in KNOWN:
            return None
        raise AttributeError(f"this output has no {name!r}; it has {', '.join(self)}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return OrderedDict.__getitem__(self, key)
        return self.to_tuple()[key]

    def to_tuple(self) -> tuple[Any, ...]:
        """The values in order, without names."""
        return tuple(self.values())

    def __reduce__(self) -> Any:
        return (_rebuild, (dict(self),))


def _rebuild(values: dict[str, Any]) -> ModelOutput:
    return ModelOutput(values)


KNOWN = {
    "loss",
    "logits",
    "start_logits",
    "end_logits",
    "last_hidden_state",
    "pooler_output",
    "past_key_values",
    "hidden_states",
    "attentions",
    "cross_attentions",
    "decoder_hidden_states",
    "decoder_attentions",
    "encoder_last_hidden_state",
    "encoder_hidden_states",
    "encoder_attentions",
}
