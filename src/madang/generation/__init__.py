"""Producing text."""

from madang.generation.config import GenerationConfig
from madang.generation.generate import generate

__all__ = ["GenerationConfig", "generate"]
