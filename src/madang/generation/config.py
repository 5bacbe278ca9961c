"""How text is produced: lengths, choice of the next token, when to stop."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from madang.errors import InputError, unknown_name
from madang.writing import write_text

DEFAULTS: dict[str, Any] = {
    "max_length": 20,
    "max_new_tokens": None,
    "min_length": 0,
    "min_new_tokens": None,
    "do_sample": False,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "repetition_penalty": 1.0,
    "num_return_sequences": 1,
    "use_cache": True,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
    "decoder_start_token_id": None,
}

# strategies that are not there yet: another value than these would be ignored in silence
ONLY: dict[str, tuple[Any, ...]] = {
    "num_beams": (1, None),
    "num_beam_groups": (1, None),
    "penalty_alpha": (0, None),
    "no_repeat_ngram_size": (0, None),
    "encoder_no_repeat_ngram_size": (0, None),
    "bad_words_ids": (None,),
    "force_words_ids": (None,),
    "constraints": (None,),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "suppress_tokens": (None,),
    "begin_suppress_tokens": (None,),
    "typical_p": (1.0, None),
    "epsilon_cutoff": (0.0, None),
    "eta_cutoff": (0.0, None),
    "min_p": (None,),
    "guidance_scale": (None, 1.0),
    "encoder_repetition_penalty": (1.0, None),
    "exponential_decay_length_penalty": (None,),
    "sequence_bias": (None,),
    "stop_strings": (None,),
    "max_time": (None,),
    "prompt_lookup_num_tokens": (None,),
    "assistant_model": (None,),
    "streamer": (None,),
    "logits_processor": (None,),
    "stopping_criteria": (None,),
    "output_scores": (False, None),
    "output_logits": (None, False),
    "return_dict_in_generate": (False, None),
}


class GenerationConfig:
    """The options of `generate` with their values; unknown keys of a file are kept and saved again."""

    def __init__(self, **values: Any) -> None:
        self.values = {**DEFAULTS, **values}

    @classmethod
    def from_model(cls, config: Any, values: Mapping[str, Any]) -> GenerationConfig:
        """The content of generation_config.json over what config.json says about tokens."""
        ids = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
        from_config = {name: getattr(config, name) for name in ids}
        older = {key: value for key, value in config.other.items() if key in DEFAULTS or key in ONLY}
        return cls(**{**from_config, **older, **values})

    def with_options(self, options: Mapping[str, Any]) -> GenerationConfig:
        """These values with `options` over them; an unknown one is an error, one that is not possible yet too."""
        for name in options:
            if name not in DEFAULTS and name not in ONLY and name not in self.values:
                raise unknown_name("option of generate", name, [*DEFAULTS, *ONLY])
        chosen = GenerationConfig(**{**self.values, **options})
        chosen.check()
        return chosen

    def check(self) -> None:
        """Refuse values of strategies that are not there yet, wherever they come from."""
        for name, possible in ONLY.items():
            if self.values.get(name, possible[0]) not in possible:
                raise InputError(
                    f"{name}={self.values[name]!r} is not possible yet; set it to {possible[0]!r}. "
                    f"generate knows {', '.join(DEFAULTS)}."
                )

    def __getattr__(self, name: str) -> Any:
        if name != "values" and name in self.values:
            return self.values[name]
        raise AttributeError(f"GenerationConfig has no {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "values":
            object.__setattr__(self, name, value)
        else:
            self.values[name] = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GenerationConfig) and self.values == other.values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"GenerationConfig {json.dumps(self.to_dict(), indent=2)}"

    def to_dict(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {key: value for key, value in self.values.items() if key not in DEFAULTS or value != DEFAULTS[key]}

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write generation_config.json into `folder`."""
        write_text(Path(folder) / "generation_config.json", json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n")
