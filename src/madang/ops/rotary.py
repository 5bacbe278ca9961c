"""Rotary positions (Su et al. 2021) and the ways in which models stretch them to longer texts.

Frequencies are plain numbers worked out from the config: no buffer, nothing to load, nothing to lose.
"""

# D head size  R rotated part of it, R/2 pairs  T tokens
from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from madang.errors import ConfigError, unknown_name


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn each pair (i, i + R/2) of the first R elements by its angle: (…, H, D), angles (…, 1, R/2) -> (…, H, D)."""
    half = cosine.shape[-1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine, rest), -1)


@dataclass
class Rotary:
    """Angles for token positions. `size` is R, the number of rotated elements of each head, an even number.

    `scaling` is the config's dict: {"rope_type": "default" | "linear" | "dynamic" | "yarn" | "longrope" | "llama3", …}.
    `trained_length` is the config's max_position_embeddings.
    """

    size: int
    base: float = 10000.0
    scaling: dict[str, Any] | None = None
    trained_length: int = 2048
    _tables: dict[Any, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        scaling = self.scaling or {}
        self.kind = scaling.get("rope_type") or scaling.get("type") or "default"
        if self.kind not in FREQUENCIES:
            raise unknown_name("rope_type", self.kind, FREQUENCIES)
        missing = [key for key in NEEDED.get(self.kind, ()) if key not in scaling]
        if self.kind == "yarn" and not {"factor", "original_max_position_embeddings"} & set(scaling):
            missing = ["factor"]
        if missing:
            raise ConfigError(
                f"rope_scaling of type {self.kind!r} needs {', '.join(missing)}; it has {sorted(scaling)}."
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> Rotary:
        return Rotary(self.size, self.base, self.scaling, self.trained_length)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tables": {}}

    def angles(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and sines for `positions` (…): two tensors (…, 1, R/2), the axis of length 1 being the heads."""
        length = int(positions.max()) + 1 if self.kind in ("dynamic", "longrope") and positions.numel() else 0
        frequencies, magnitude = FREQUENCIES[self.kind](self, length)
        # float32: an angle of 10,000 radians has no decimals left in bfloat16
        angle = positions.unsqueeze(-1).float() * torch.tensor(
            frequencies, dtype=torch.float32, device=positions.device
        )
        return ((angle.cos() * magnitude).to(dtype).unsqueeze(-2), (angle.sin() * magnitude).to(dtype).unsqueeze(-2))


def _default(rotary: Rotary, length: int, base: float | None = None) -> tuple[list[float], float]:
    base = rotary.base if base is None else base
    return [base ** (-2 * i / rotary.size) for i in range(rotary.size // 2)], 1.0


def _linear(rotary: Rotary, length: int) -> tuple[list[float], float]:
    """Positions divided by `factor` (Chen et al. 2023)."""
    factor = (rotary.scaling or {})["factor"]
    return [f / factor for f in _default(rotary, length)[0]], 1.0


def _dynamic(rotary: Rotary, length: int) -> tuple[list[float], float]:
    """A larger base, once the text is longer than those of training ("dynamic NTK")."""
    factor, trained, size = (rotary.scaling or {})["factor"], rotary.trained_length, rotary.size
    stretch = factor * max(length, trained) / trained - (factor - 1)
    return _default(rotary, length, rotary.base * stretch ** (size / (size - 2)))


def _llama3(rotary: Rotary, length: int) -> tuple[list[float], float]:
    """Long waves slowed by `factor`, short ones kept, a smooth passage between (Llama 3.1)."""
    scaling = rotary.scaling or {}
    factor, low, high = scaling["factor"], scaling["low_freq_factor"], scaling["high_freq_factor"]
    trained = scaling.get("original_max_position_embeddings") or rotary.trained_length
    scaled = []
    for frequency in _default(rotary, length)[0]:
        waves = trained * frequency / (2 * math.pi)  # how often it turns within a text of training
        smooth = min(1.0, max(0.0, (waves - low) / (high - low)))
        scaled.append(frequency * (smooth + (1 - smooth) / factor))
    return scaled, 1.0


def _yarn(rotary: Rotary, length: int) -> tuple[list[float], float]:
    """Slow waves interpolated, fast ones kept, scores made sharper (Peng et al. 2023)."""
    scaling, size = rotary.scaling or {}, rotary.size
    trained = scaling.get("original_max_position_embeddings") or rotary.trained_length
    factor = scaling.get("factor") or rotary.trained_length / trained

    def pair_turning(times: float) -> float:
        return size * math.log(trained / (times * 2 * math.pi)) / (2 * math.log(rotary.base))

    low, high = pair_turning(scaling.get("beta_fast") or 32), pair_turning(scaling.get("beta_slow") or 1)
    if scaling.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, size - 1)
    high = high if high != low else high + 0.001
    scaled = []
    for i, frequency in enumerate(_default(rotary, length)[0]):
        slow = min(1.0, max(0.0, (i - low) / (high - low)))
        scaled.append(frequency * (1 - slow) + frequency / factor * slow)
    return scaled, _yarn_magnitude(scaling, factor)


def _yarn_magnitude(scaling: dict[str, Any], factor: float) -> float:
    def magnitude(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

    if scaling.get("attention_factor") is not None:
        return float(scaling["attention_factor"])
    if scaling.get("mscale") and scaling.get("mscale_all_dim"):
        return magnitude(scaling["mscale"]) / magnitude(scaling["mscale_all_dim"])
    return magnitude(1.0)


def _longrope(rotary: Rotary, length: int) -> tuple[list[float], float]:
    """One divisor per pair, from one of two lists: for texts within the first training length and beyond.

    Ding et al. 2024 (LongRoPE).
    """
    scaling = rotary.scaling or {}
    first = scaling.get("original_max_position_embeddings") or rotary.trained_length
    factor = scaling.get("factor") or rotary.trained_length / first
    divisors = scaling["long_factor"] if length > first else scaling["short_factor"]
    magnitude = scaling.get("attention_factor")
    if magnitude is None:
        magnitude = math.sqrt(1 + math.log(factor) / math.log(first)) if factor > 1 else 1.0
    return [f / d for f, d in zip(_default(rotary, length)[0], divisors, strict=True)], magnitude


FREQUENCIES = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
}
NEEDED = {
    "linear": ("factor",),
    "dynamic": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "longrope": ("short_factor", "long_factor"),
}
