"""A model: a body, a head, and everything people do with both together."""

# B batch  T tokens  C choices
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from madang.adapt import Adaptable, with_adapter
from madang.auto.output import ModelOutput
from madang.blocks.context import States
from madang.blocks.layers import Embedding
from madang.bodies.stack import Stack
from madang.checkpoints.config import Config
from madang.checkpoints.load import Naming
from madang.checkpoints.report import LoadingReport
from madang.errors import InputError, nearest, unknown_name
from madang.families.family import Family, Recipe
from madang.heads import Head
from madang.ops.packing import mask_on, readable

ATTENTION = ("sdpa", "eager")


class Model(Adaptable):
    """A body and (except for bare bodies) a head. Classes people know by name are made from this one, see `classes`."""

    family: ClassVar[Family]
    recipe: ClassVar[Recipe]
    task: ClassVar[str | None]
    config_class: ClassVar[type[Config]]
    config: Config
    body: Any
    head: Any

    def __init__(self, config: Config, *, attn_implementation: str | None = None, **options: Any) -> None:
        super().__init__()
        from madang.auto.building import build_parts, draw_fresh

        self.config = config
        self.loading_report: LoadingReport | None = None
        self.name_or_path = config.name_or_path
        self.generation_config: Any = None
        build_parts(self, **options)
        self.set_attn_implementation(attn_implementation or "sdpa")
        self.tie_weights()
        if not any(parameter.is_meta for parameter in self.parameters()):  # else whoever loads fills them
            draw_fresh(self, [name for name, _ in self.named_parameters()])

    # running ---------------------------------------------------------------------------------------------------

    def forward(self, *positional: Any, **inputs: Any) -> Any:
        """Run body and head. Which inputs there are is in `input_names`; the first ones may be given without names.

        With labels the output has a loss: the mean over this batch's targets, or their sum divided by
        `num_items_in_batch` (the targets of a whole optimisation step) when that is given.
        """
        inputs = self._named(positional, inputs)
        return_dict = inputs.pop("return_dict", None)
        targets = inputs.pop("num_items_in_batch", None)
        labels = {name: inputs.pop(name, None) for name in self.label_names}
        record = self._recorders(inputs)
        self._check_rows(inputs, labels)
        choices = self._fold_choices(inputs)
        self._feed_decoder(inputs, labels)
        if self.head is not None and self.head.first_only:
            inputs["first_only"] = True
        states: States = self.body(**inputs, record=record, plain=self.attn_implementation == "eager")
        answers = {"last_hidden_state": states.padded()} if self.head is None else self.head(states)
        if choices:
            answers["logits"] = answers["logits"].view(-1, choices)
        output = ModelOutput()
        if self.head is not None and labels and all(value is not None for value in labels.values()):
            labels = self.head.targets(labels, inputs)
            count = self.head.count(labels) if targets is None else targets
            # no target at all: the sum is 0, and so is the loss
            divisor = count.masked_fill(count == 0, 1) if isinstance(count, Tensor) else count or 1
            output["loss"] = self.head.loss(answers, labels) / divisor
        output.update(answers)
        self._add_recorded(output, states)
        return output if self._wants_dict(return_dict) else output.to_tuple()

    def _named(self, positional: tuple[Any, ...], inputs: dict[str, Any]) -> dict[str, Any]:
        """All inputs by name, None left out; an unknown name is an error."""
        if len(positional) > len(self.input_names):
            raise InputError(
                f"{len(positional)} inputs without names, but there are only {', '.join(self.input_names)}."
            )
        named = {**dict(zip(self.input_names, positional, strict=False)), **inputs}
        for name in named:
            if name not in self.input_names and name not in OPTIONS and named[name] is not None:
                close = nearest(name, [*self.input_names, *OPTIONS])
                raise InputError(
                    f"{type(self).__name__} takes no {name!r}.{close} It takes {', '.join(self.input_names)}."
                )
        return {name: value for name, value in named.items() if value is not None}

    def _check_rows(self, inputs: Mapping[str, Any], labels: Mapping[str, Any]) -> None:
        """As many rows of labels as texts or images."""
        rows = next((len(value) for value in inputs.values() if isinstance(value, Tensor) and value.ndim), None)
        for name, value in labels.items():
            if value is not None and rows is not None and value.ndim and len(value) != rows:
                raise InputError(f"{name} has {len(value)} rows, but there are {rows} inputs in this batch.")

    def _recorders(self, inputs: dict[str, Any]) -> tuple[str, ...]:
        hidden = inputs.pop("output_hidden_states", self.config.output_hidden_states)
        attentions = inputs.pop("output_attentions", self.config.output_attentions)
        return ("hidden_states",) * bool(hidden) + ("attentions",) * bool(attentions)

    def _fold_choices(self, inputs: dict[str, Any]) -> int:
        """(B, C, T) inputs become (B * C, T) for heads that choose; returns C, else 0."""
        if self.head is None or not self.head.choices:
            return 0
        main = inputs.get("input_ids", inputs.get("inputs_embeds"))
        if main is None or main.ndim < 3:
            raise InputError("multiple choice needs inputs of the shape (batch, choices, tokens).")
        for name, value in inputs.items():
            folded = readable(value).flatten(0, 1)
            inputs[name] = mask_on(value.device, folded) if name == "attention_mask" else folded
        return int(main.shape[1])

    def _feed_decoder(self, inputs: dict[str, Any], labels: Mapping[str, Any]) -> None:
        """An encoder-decoder reads the labels moved right when nothing else was given to its decoder."""
        if self.head is None or "decoder_input_ids" not in self.body.input_names:
            return
        if not {"decoder_input_ids", "decoder_inputs_embeds"} & set(inputs):
            made = self.head.decoder_inputs(labels, inputs.get("input_ids"))
            if made is not None:
                inputs["decoder_input_ids"] = made
                # a head that lets both sides read the text has its padding on both sides
                if self.head.reads_source and "attention_mask" in inputs:
                    inputs.setdefault("decoder_attention_mask", inputs["attention_mask"])

    def _add_recorded(self, output: ModelOutput, states: States) -> None:
        source = states.encoder
        own = "decoder_" if source is not None else ""
        entries = {
            "pooler_output": states.pooled if self.head is None else None,
            "past_key_values": states.cache,
            f"{own}hidden_states": states.hidden_states,
            f"{own}attentions": states.attentions,
            "cross_attentions": states.cross_attentions,
        }
        if source is not None:
            entries["encoder_last_hidden_state"] = source.padded()
            entries["encoder_hidden_states"] = source.hidden_states
            entries["encoder_attentions"] = source.attentions
        output.update({name: value for name, value in entries.items() if value is not None})

    def _wants_dict(self, asked: bool | None) -> bool:
        return self.config.return_dict if asked is None else asked

    @property
    def input_names(self) -> tuple[str, ...]:
        """Every input `forward` understands, labels included."""
        return (*self.body.input_names, *self.label_names)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Which of the inputs are labels."""
        return () if self.head is None else self.head.label_names

    def count_targets(self, inputs: Mapping[str, Any]) -> int:
        """How many targets the labels in `inputs` hold, counted as this head's loss counts them; 0 without labels."""
        labels = {name: inputs.get(name) for name in self.label_names}
        if self.head is None or not labels or any(value is None for value in labels.values()):
            return 0
        return int(self.head.count(self.head.targets(labels, inputs)))

    def generate(self, inputs: Tensor | None = None, **options: Any) -> Tensor:
        """Continue each text of `inputs` (B, T): ids (B, longer). Options as in `madang.generation.generate`."""
        from madang.generation import generate

        if not self.can_generate:
            raise InputError(
                f"{type(self).__name__} produces no text; load it with AutoModelForCausalLM or …Seq2SeqLM."
            )
        return generate(self, inputs, **options)

    # its parts -------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            found = _published_module(self, name)
            if found is None:
                raise AttributeError(f"{type(self).__name__} has no {name!r}.{nearest(name, self._words())}") from None
            return found

    def _words(self) -> list[str]:
        return [name for name in dir(type(self)) if not name.startswith("_")]

    @property
    def base_model(self) -> nn.Module:
        """The body."""
        body: nn.Module = self.body
        return body

    @property
    def base_model_prefix(self) -> str:
        """What the body is called in published tensor names: model.bert, model.transformer, …"""
        return self.family.prefix if self.recipe.prefix is None else self.recipe.prefix

    @property
    def can_generate(self) -> bool:
        """Whether there is a language head on a body that keeps a cache."""
        return self.task in ("causal-language", "sequence-to-sequence-language") and self.body.causal

    @property
    def maximum_length(self) -> int | None:
        """The longest text in tokens, None where nothing limits it."""
        longest: int | None = self.body.longest
        return longest

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The floating point type of the parameters."""
        return next(parameter.dtype for parameter in self.parameters() if parameter.is_floating_point())

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """How many numbers the model has; tied ones count once."""
        skipped = set()
        if exclude_embeddings:
            skipped = {id(m.weight) for m in self.modules() if isinstance(m, Embedding)}
        return sum(
            p.numel() for p in self.parameters() if id(p) not in skipped and (p.requires_grad or not only_trainable)
        )

    def get_memory_footprint(self) -> int:
        """Bytes of all parameters and buffers."""
        return sum(x.numel() * x.element_size() for x in [*self.parameters(), *self.buffers()])

    def get_input_embeddings(self) -> nn.Module:
        """The table that tokens are looked up in (or the patch projection of an image model)."""
        table: nn.Module = getattr(self.body.embed, "tokens", self.body.embed)
        return table

    def set_input_embeddings(self, table: nn.Embedding) -> None:
        """Use `table` for the tokens, on both sides of an encoder-decoder."""
        for module in self.body.modules():
            if "tokens" in module._modules:
                module._modules["tokens"] = table
        self.tie_weights()

    def get_output_embeddings(self) -> nn.Module | None:
        """The projection onto the vocabulary, None for heads that have none."""
        if self.task is None or not self.task.endswith("language"):
            return None
        output: nn.Module = self.head.output
        return output

    def tie_weights(self) -> None:
        """Make the head's output matrix the embedding table itself, where the config says so."""
        if self.recipe.tied is not None and self.config.tie_word_embeddings:
            path, _, leaf = self.recipe.tied.rpartition(".")
            self.head.get_submodule(path)._parameters[leaf] = self.get_input_embeddings().weight

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nn.Module:
        """Give the vocabulary another size: rows are cut, or drawn around the mean of the old. Returns the table."""
        from madang.auto.resizing import resize_vocabulary

        return resize_vocabulary(self, new_num_tokens, pad_to_multiple_of, mean_resizing=mean_resizing)

    def set_attn_implementation(self, name: str) -> None:
        """ "sdpa" (the fastest kernel there is) or "eager" (the formula, step by step)."""
        if name not in ATTENTION:
            raise unknown_name("attn_implementation", name, ATTENTION)
        self.attn_implementation = name

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """Work activations out a second time instead of keeping them: less memory, about a third more time."""
        self._set_checkpointing(True)

    def gradient_checkpointing_disable(self) -> None:
        """Keep activations for the way back."""
        self._set_checkpointing(False)

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether activations are worked out a second time."""
        return any(isinstance(module, Stack) and module.checkpointing for module in self.modules())

    def _set_checkpointing(self, on: bool) -> None:
        for module in self.modules():
            if isinstance(module, Stack):
                module.checkpointing = on

    def summary(self, depth: int = 3) -> str:
        """Body and head as a tree: shapes, parameter counts, and where each part's weights came from."""
        from madang.auto.summary import summarise

        return summarise(self, depth)

    # names and files -------------------------------------------------------------------------------------------

    @property
    def naming(self) -> Naming:
        """How the parameters are called on disk."""
        from madang.auto.building import naming_of

        found = naming_of(self)
        return found if self.adapter is None else with_adapter(found)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], *, config: Any = None, **options: Any
    ) -> Any:
        """Load from a folder or a hub; see `madang.auto.loading.load` for all options."""
        from madang.auto.loading import load

        return load(cls, pretrained_model_name_or_path, config=config, **options)

    @classmethod
    def from_config(cls, config: Config, **options: Any) -> Self:
        """A model with fresh weights."""
        return cls(config, **options)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **options: Any) -> None:
        """Write config and weights (of an adapted model: the adapter) into a folder; see `madang.auto.saving.save`."""
        from madang.auto.saving import save

        save(self, save_directory, **options)

    def push_to_hub(self, repo_id: str, *, commit_message: str = "Upload model", **options: Any) -> str:
        """Write config and weights into the repository `repo_id`; returns the commit's address."""
        from madang.auto.saving import push

        return push(self, repo_id, commit_message=commit_message, **options)


OPTIONS = ("output_hidden_states", "output_attentions", "return_dict", "num_items_in_batch")


def _published_module(model: Model, name: str) -> nn.Module | None:
    """The module that published tensor names call `name`: model.bert, model.classifier, model.lm_head, …"""
    if "body" not in model._modules:
        return None
    if name == model.base_model_prefix:
        return model.base_model
    for disk, entry in model.recipe.table(model.config).items():
        if disk == name and isinstance(entry, str):
            head: Head = model.head
            return head.get_submodule(entry)
        if disk.split(".")[0] == name:
            return model.head  # type: ignore[no-any-return]
    return None
