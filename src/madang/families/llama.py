"""Llama (Touvron et al. 2023) and its many relatives: rotary positions, shared key/value heads, gated feed-forward.

No biases by default, root-mean-square norms, input and output embeddings apart unless the config ties them.
"""

from typing import Any

from madang.blocks.attention import Heads, SelfAttention
from madang.blocks.block import PreNormBlock
from madang.blocks.embedding import TokenEmbedding
from madang.blocks.feed_forward import GatedFeedForward
from madang.blocks.layers import Linear, RMSNorm
from madang.bodies import TextBody
from madang.checkpoints.config import Config
from madang.checkpoints.names import IGNORE, Table
from madang.families.family import Family, Recipe
from madang.heads import CausalLanguage, QuestionAnswering, SequenceClassification, TokenClassification
from madang.heads.pooling import LastToken
from madang.ops.attention import Causal
from madang.ops.rotary import Rotary


class LlamaConfig(Config):
    """Numbers of a Llama model, under their published names.

    `rope_parameters` is the newer home of the two rope keys.
    """

    model_type = "llama"
    possible = {"partial_rotary_factor": (1, None)}

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    # how the matrices were cut for training; the numbers are the same
    pretraining_tp: int = 1
    rope_theta: float = 10000.0
    rope_scaling: dict[str, Any] | None = None
    attention_bias: bool = False
    attention_dropout: float = 0.0
    mlp_bias: bool = False
    classifier_dropout: float | None = None
    hidden_dropout: float | None = None
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    tie_word_embeddings: bool = False

    @property
    def token_dropout(self) -> float:
        """Dropout of the token classification head."""
        return next((p for p in (self.classifier_dropout, self.hidden_dropout) if p is not None), 0.1)

    @classmethod
    def translate(cls, values: dict[str, Any]) -> dict[str, Any]:
        """`rope_parameters` (new) says the same as `rope_theta` and `rope_scaling` (old)."""
        values = super().translate(values)
        parameters = values.pop("rope_parameters", None)
        if parameters:
            scaling = {
                key: value for key, value in parameters.items() if key not in ("rope_theta", "partial_rotary_factor")
            }
            values["rope_theta"] = parameters.get("rope_theta") or values.get("rope_theta", 10000.0)
            values["rope_scaling"] = None if _kind(scaling) == "default" else scaling
            if "partial_rotary_factor" in parameters:
                values["partial_rotary_factor"] = parameters["partial_rotary_factor"]
        stated, first = values.get("rope_scaling"), values.get("original_max_position_embeddings")
        if stated and first is not None and _kind(stated) in ("llama3", "yarn", "longrope"):
            # some publish it beside the other rope keys instead of among them
            values["rope_scaling"] = {**stated, "original_max_position_embeddings": first}
        return values

    @property
    def rope_parameters(self) -> dict[str, Any]:
        """The two rope keys in their newer form."""
        scaling = {key: value for key, value in (self.rope_scaling or {}).items() if key != "type"}
        return {**scaling, "rope_type": _kind(self.rope_scaling), "rope_theta": self.rope_theta}

    def published(self, values: dict[str, Any]) -> dict[str, Any]:
        """Both spellings are saved: a reader that knows only one would fall back to its default in silence."""
        scaling, kind = self.rope_scaling, _kind(self.rope_scaling)
        if scaling and kind in ("linear", "dynamic"):
            # readers of 2024 take exactly these two keys
            scaling = {"type": kind, "factor": scaling["factor"]}
        return {**values, "rope_scaling": scaling, "rope_parameters": self.rope_parameters}


def _kind(scaling: dict[str, Any] | None) -> str:
    """How positions are stretched, under the newer or the older key."""
    found = scaling or {}
    return found.get("rope_type") or found.get("type") or "default"


def body(c: LlamaConfig) -> TextBody:
    """Tokens, pre-norm blocks with rotary positions, a last norm."""
    heads = Heads.of(c.hidden_size, c.num_attention_heads, c.num_key_value_heads, c.head_dim)
    rotary = Rotary(heads.size, c.rope_theta, c.rope_scaling, c.max_position_embeddings)

    def norm() -> RMSNorm:
        return RMSNorm(c.hidden_size, c.rms_norm_eps)

    def block() -> PreNormBlock:
        return PreNormBlock(
            SelfAttention(
                c.hidden_size, heads, Causal(), rotary=rotary, bias=c.attention_bias, dropout=c.attention_dropout
            ),
            GatedFeedForward(c.hidden_size, c.intermediate_size, c.hidden_act, bias=c.mlp_bias),
            norm,
        )

    embed = TokenEmbedding(c.vocab_size, c.hidden_size, padding=c.pad_token_id)
    return TextBody(embed, [block() for _ in range(c.num_hidden_layers)], norm(), causal=True)


def weights(c: LlamaConfig) -> Table:
    """Names on disk of the body's tensors."""
    return {
        "embed_tokens": "embed.tokens",
        "layers.{i}.input_layernorm": "blocks.{i}.attention_norm",
        "layers.{i}.self_attn.q_proj": "blocks.{i}.attention.query",
        "layers.{i}.self_attn.k_proj": "blocks.{i}.attention.key",
        "layers.{i}.self_attn.v_proj": "blocks.{i}.attention.value",
        "layers.{i}.self_attn.o_proj": "blocks.{i}.attention.output",
        "layers.{i}.post_attention_layernorm": "blocks.{i}.feed_forward_norm",
        "layers.{i}.mlp.gate_proj": "blocks.{i}.feed_forward.gate",
        "layers.{i}.mlp.up_proj": "blocks.{i}.feed_forward.up",
        "layers.{i}.mlp.down_proj": "blocks.{i}.feed_forward.down",
        "norm": "norm",
        "layers.{i}.self_attn.rotary_emb.inv_freq": IGNORE,
        "rotary_emb.inv_freq": IGNORE,
    }


FAMILY = Family(
    model_type="llama",
    stem="Llama",
    prefix="model",
    config=LlamaConfig,
    body=body,
    weights=weights,
    recipes={
        "body": Recipe("LlamaModel"),
        "causal-language": Recipe(
            "LlamaForCausalLM",
            lambda c: CausalLanguage(Linear(c.hidden_size, c.vocab_size, bias=False)),
            {"lm_head": "output"},
            tied="output.weight",
        ),
        "sequence-classification": Recipe(
            "LlamaForSequenceClassification",
            lambda c: SequenceClassification(
                LastToken(c.pad_token_id), Linear(c.hidden_size, c.num_labels, bias=False), c.problem_type
            ),
            {"score": "output"},
        ),
        "token-classification": Recipe(
            "LlamaForTokenClassification",
            lambda c: TokenClassification(Linear(c.hidden_size, c.num_labels), c.token_dropout),
            {"score": "output"},
        ),
        "question-answering": Recipe(
            "LlamaForQuestionAnswering",
            lambda c: QuestionAnswering(Linear(c.hidden_size, 2)),
            {"qa_outputs": "output"},
            prefix="transformer",
        ),
    },
)
