"""Models of every type that are built in a millisecond: random weights, and another size on every axis.

A test that swaps two axes fails on them instead of passing. Batches have 2 texts, of 7 and of 5 tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from madang.auto.classes import model_class
from madang.auto.model import Model
from madang.auto.registry import family
from madang.checkpoints.config import Config
from madang.errors import InputError

LENGTHS = (7, 5)

# model type -> what differs from the family's defaults
TINY: dict[str, dict[str, Any]] = {
    "bert": {
        "vocab_size": 61,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 20,
        "max_position_embeddings": 19,
        "type_vocab_size": 2,
    },
    "deberta-v2": {
        "vocab_size": 61,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 20,
        "max_position_embeddings": 19,
        "relative_attention": True,
        "position_buckets": 4,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "pooler_hidden_size": 24,
    },
    "gpt2": {
        "vocab_size": 61,
        "n_positions": 19,
        "n_embd": 24,
        "n_layer": 2,
        "n_head": 3,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    },
    "llama": {
        "vocab_size": 61,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "intermediate_size": 20,
        "max_position_embeddings": 19,
        "pad_token_id": 0,
    },
    "roberta": {
        "vocab_size": 61,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 20,
        "max_position_embeddings": 19,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
    },
    "t5": {
        "vocab_size": 61,
        "d_model": 24,
        "d_kv": 7,
        "d_ff": 20,
        "num_layers": 2,
        "num_decoder_layers": 3,
        "num_heads": 3,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 5,
        "decoder_start_token_id": 0,
    },
    "vit": {
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 20,
        "image_size": 12,
        "patch_size": 4,
        "num_channels": 3,
    },
}


def tiny_config(model_type: str, **changes: Any) -> Config:
    """A small config of this type, with `changes` over it. Types without one in TINY are an InputError."""
    if model_type not in TINY:
        raise InputError(f"madang.testing.TINY has no small config for model_type {model_type!r}; add one.")
    return family(model_type).config(**{**TINY[model_type], "num_labels": 4, **changes})


def tiny_model(model_type: str, task: str = "body", *, seed: int = 0, **changes: Any) -> Model:
    """A small model in evaluation mode; the same `seed` gives the same weights. All weights, biases too, are random.

    Example:
        >>> model = tiny_model("bert", "sequence-classification")
        >>> model(**tiny_inputs(model)).logits.shape
        torch.Size([2, 4])
    """
    if task == "causal-language" and "is_decoder" in family(model_type).config.defaults:
        changes = {"is_decoder": True, **changes}
    model = model_class(model_type, task)(tiny_config(model_type, **changes)).eval()
    _randomise(model, seed)
    return model


def tiny_inputs(
    model: Model, lengths: tuple[int, ...] = LENGTHS, *, side: str = "right", seed: int = 0
) -> dict[str, Tensor]:
    """Inputs with labels for a small model: texts of these `lengths`, padded on one `side`, or as many images."""
    drawn = torch.Generator().manual_seed(seed)
    if model.family.main_input == "pixel_values":
        size = (len(lengths), model.config.num_channels, model.config.image_size, model.config.image_size)
        inputs = {"pixel_values": torch.randn(size, generator=drawn)}
    else:
        inputs = _texts(model, lengths, side, drawn)
    if model.head is not None and model.head.choices:
        # a second choice for each text: the same words from the other end
        inputs = {name: torch.stack((value, value.flip(-1)), 1) for name, value in inputs.items()}
    return {**inputs, **_labels(model, inputs, drawn)}


def _texts(model: Model, lengths: tuple[int, ...], side: str, drawn: torch.Generator) -> dict[str, Tensor]:
    width, vocabulary = max(lengths), model.config.vocab_size
    places = torch.arange(width)
    if side == "left":
        places = places.flip(0)
    mask = (places < torch.tensor(lengths)[:, None]).long()
    # 4 and up: none of the special tokens of any type
    ids = torch.randint(4, vocabulary, (len(lengths), width), generator=drawn)
    padding = model.config.pad_token_id or 0
    if model.config.is_encoder_decoder:
        # heads that read the answer off the end need one
        last = (torch.arange(width) * mask).argmax(1)
        end = model.config.eos_token_id
        ids[torch.arange(len(lengths)), last] = end if isinstance(end, int) else 1
    inputs = {"input_ids": ids.masked_fill(mask == 0, padding), "attention_mask": mask}
    if "token_type_ids" in model.input_names and model.config.type_vocab_size > 1:
        inputs["token_type_ids"] = torch.randint(0, model.config.type_vocab_size, ids.shape, generator=drawn)
    if "decoder_input_ids" in model.input_names and model.task is None:
        inputs["decoder_input_ids"] = torch.randint(4, vocabulary, (len(lengths), 6), generator=drawn)
    return inputs


def _labels(model: Model, inputs: dict[str, Tensor], drawn: torch.Generator) -> dict[str, Tensor]:
    """Labels of the kind that this model's head wants."""
    if model.head is None:
        return {}
    main = inputs[model.family.main_input]
    count = len(main)
    if model.task == "question-answering":
        return {"start_positions": torch.arange(count) % 3, "end_positions": torch.arange(count) % 3 + 1}
    if model.task == "multiple-choice":
        return {"labels": torch.arange(count) % 2}
    if model.task == "sequence-to-sequence-language":
        answers = torch.randint(4, model.config.vocab_size, (count, 6), generator=drawn)
        answers[-1, 4:] = -100
        return {"labels": answers}
    if model.task in ("masked-language", "causal-language", "token-classification"):
        classes = model.config.num_labels if model.task == "token-classification" else model.config.vocab_size
        labels = torch.randint(0, classes, main.shape, generator=drawn)
        if model.task == "causal-language":
            labels = main.clone()
        return {"labels": labels.masked_fill(inputs["attention_mask"] == 0, -100)}
    return {"labels": torch.randint(0, model.config.num_labels, (count,), generator=drawn)}


def _randomise(model: nn.Module, seed: int) -> None:
    """Draw every parameter: a bias of 0 or a norm of 1 would hide that it is not used."""
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            around = 1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0
            parameter.copy_(around + 0.2 * torch.randn(parameter.shape, generator=drawn))
