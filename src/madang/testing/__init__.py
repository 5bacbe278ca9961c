"""Small models and inputs for tests, ours and yours."""

from madang.testing.tiny import TINY, tiny_config, tiny_inputs, tiny_model

__all__ = ["TINY", "tiny_config", "tiny_inputs", "tiny_model"]
