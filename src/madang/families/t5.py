"""T5 (Raffel et al. 2019): an encoder-decoder that turns every task into text.

Scores are not scaled; positions are a learned bias by distance, shared by all blocks of a side. T5 1.1, mT5 and Flan
have a gated feed-forward and an output matrix of their own.
"""

from typing import Any

from torch import Tensor, nn

from madang.blocks.attention import CrossAttention, Heads, SelfAttention
from madang.blocks.block import PreNormBlock, PreNormCrossBlock
from madang.blocks.embedding import TokenEmbedding
from madang.blocks.feed_forward import FeedForward, GatedFeedForward
from madang.blocks.layers import Linear, RMSNorm
from madang.blocks.relative import BucketedBias
from madang.bodies import EncoderDecoder, TextBody
from madang.checkpoints.config import Config
from madang.checkpoints.names import IGNORE, Table
from madang.errors import ConfigError
from madang.families.family import Family, Recipe
from madang.heads import QuestionAnswering, SequenceClassification, SequenceToSequenceLanguage, TokenClassification
from madang.heads.pooling import EndToken
from madang.heads.transform import DenseTransform
from madang.ops.attention import Bidirectional, Causal


class T5Config(Config):
    """Numbers of a T5 model, under their published names."""

    model_type = "t5"
    spellings = {
        "hidden_size": "d_model",
        "num_attention_heads": "num_heads",
        "num_hidden_layers": "num_layers",
        "head_dim": "d_kv",
    }

    vocab_size: int = 32128
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 2048
    num_layers: int = 6
    num_decoder_layers: int | None = None
    num_heads: int = 8
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout_rate: float = 0.1
    classifier_dropout: float = 0.0
    layer_norm_epsilon: float = 1e-6
    initializer_factor: float = 1.0
    feed_forward_proj: str = "relu"
    is_encoder_decoder: bool = True
    pad_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 1
    scale_decoder_outputs: bool | None = None

    @classmethod
    def translate(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Whether outputs are scaled was said by `tie_word_embeddings` alone until a key of its own came."""
        values = super().translate(values)
        if values.get("scale_decoder_outputs") is None:
            values["scale_decoder_outputs"] = values.get("tie_word_embeddings") is not False
        return values

    @property
    def start(self) -> int:
        """The token every answer starts with."""
        return next((i for i in (self.decoder_start_token_id, self.pad_token_id) if i is not None), 0)


def stack(c: T5Config, embed: TokenEmbedding, *, decoder: bool) -> TextBody:
    """One side: blocks on the shared embedding, with the bias that all of them use."""
    heads = Heads.of(c.d_model, c.num_heads, size=c.d_kv)
    kind, _, act = c.feed_forward_proj.rpartition("-")
    if kind not in ("", "gated"):
        raise ConfigError(
            f"feed_forward_proj={c.feed_forward_proj!r}: an activation or 'gated-' and an activation is expected."
        )

    def norm() -> RMSNorm:
        return RMSNorm(c.d_model, c.layer_norm_epsilon)

    def feed_forward() -> nn.Module:
        if kind:
            # published files say gelu and mean its tanh approximation here
            return GatedFeedForward(c.d_model, c.d_ff, "gelu_new" if act == "gelu" else act, dropout=c.dropout_rate)
        return FeedForward(c.d_model, c.d_ff, act, bias=False, dropout=c.dropout_rate)

    def attention() -> SelfAttention:
        sees = Causal() if decoder else Bidirectional()
        return SelfAttention(c.d_model, heads, sees, bias=False, scale=1.0, dropout=c.dropout_rate)

    def block() -> nn.Module:
        if not decoder:
            return PreNormBlock(attention(), feed_forward(), norm, c.dropout_rate)
        cross = CrossAttention(c.d_model, heads, bias=False, scale=1.0, dropout=c.dropout_rate)
        return PreNormCrossBlock(attention(), cross, feed_forward(), norm, c.dropout_rate)

    bias = BucketedBias(
        c.num_heads, c.relative_attention_num_buckets, c.relative_attention_max_distance, bidirectional=not decoder
    )
    layers = c.num_layers if not decoder or c.num_decoder_layers is None else c.num_decoder_layers
    final = DroppedNorm(c.d_model, c.layer_norm_epsilon, c.dropout_rate)
    return TextBody(embed, [block() for _ in range(layers)], final, relative=bias, causal=decoder)


class DroppedNorm(RMSNorm):
    """The last norm of a side, followed by dropout."""

    def __init__(self, size: int, eps: float, dropout: float) -> None:
        super().__init__(size, eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(…, E) -> (…, E)."""
        return self.dropout(super().forward(x))


def body(c: T5Config) -> EncoderDecoder:
    """Two sides that share one table of tokens."""
    embed = TokenEmbedding(c.vocab_size, c.d_model, dropout=c.dropout_rate)
    return EncoderDecoder(stack(c, embed, decoder=False), stack(c, embed, decoder=True), start=c.start)


class EncoderOnly(nn.Module):
    """The reading side alone, under the same names as in the whole."""

    causal, longest = False, None

    def __init__(self, encoder: TextBody) -> None:
        super().__init__()
        self.encoder, self.pooler = encoder, None
        self.input_names = encoder.input_names

    @property
    def embed(self) -> nn.Module:
        """The embedding of the tokens."""
        return self.encoder.embed

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """As the encoder's."""
        return self.encoder(*inputs, **named)


def encoder_only(c: T5Config) -> EncoderOnly:
    """The encoder with its own table of tokens."""
    return EncoderOnly(stack(c, TokenEmbedding(c.vocab_size, c.d_model, dropout=c.dropout_rate), decoder=False))


def weights(c: T5Config) -> Table:
    """Names on disk of the body's tensors; the third layer of a decoder's block is its feed-forward."""
    table: dict[str, Any] = {
        "shared": "encoder.embed.tokens",
        "encoder.embed_tokens.weight": IGNORE,
        "decoder.embed_tokens.weight": IGNORE,
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": IGNORE,
    }
    for side, feed_forward in (("encoder", 1), ("decoder", 2)):
        disk, ours = f"{side}.block.{{i}}.layer", f"{side}.blocks.{{i}}"
        attentions = {"0.SelfAttention": "attention", "1.EncDecAttention": "cross"}
        for name, own in list(attentions.items())[:feed_forward]:
            for letter, part in (("q", "query"), ("k", "key"), ("v", "value"), ("o", "output")):
                table[f"{disk}.{name}.{letter}"] = f"{ours}.{own}.{part}"
            table[f"{disk}.{name[0]}.layer_norm"] = f"{ours}.{own}_norm"
        table[f"{disk}.{feed_forward}.layer_norm"] = f"{ours}.feed_forward_norm"
        for name, own in (("wi", "up"), ("wo", "down")) if "gated" not in c.feed_forward_proj else GATED:
            table[f"{disk}.{feed_forward}.DenseReluDense.{name}"] = f"{ours}.feed_forward.{own}"
        table[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias"] = f"{side}.relative.table"
        table[f"{side}.final_layer_norm"] = f"{side}.norm"
    return table


GATED = (("wi_0", "gate"), ("wi_1", "up"), ("wo", "down"))


def spread(c: T5Config) -> dict[str, float]:
    """Fresh weights by the width they read, so that unscaled scores start small."""
    factor, width = c.initializer_factor, c.d_model**-0.5
    return {
        "*.embed.tokens.weight": factor,
        "*.query.weight": factor * (c.d_model * c.d_kv) ** -0.5,
        "*.key.weight": factor * width,
        "*.value.weight": factor * width,
        "*.attention.output.weight": factor * (c.num_heads * c.d_kv) ** -0.5,
        "*.cross.output.weight": factor * (c.num_heads * c.d_kv) ** -0.5,
        "*.feed_forward.down.weight": factor * c.d_ff**-0.5,
        "*.feed_forward.*.weight": factor * width,
        "*.relative.table.weight": factor * width,
        "head.*": factor * width,
    }


FAMILY = Family(
    model_type="t5",
    stem="T5",
    prefix="",
    config=T5Config,
    body=body,
    weights=weights,
    spread=spread,
    recipes={
        "body": Recipe("T5Model"),
        "encoder": Recipe("T5EncoderModel", body=encoder_only),
        "sequence-to-sequence-language": Recipe(
            "T5ForConditionalGeneration",
            lambda c: SequenceToSequenceLanguage(
                Linear(c.d_model, c.vocab_size, bias=False),
                start=c.start,
                padding=c.pad_token_id or 0,
                scale=c.d_model**-0.5 if c.scale_decoder_outputs else 1.0,
            ),
            {"lm_head": "output"},
            tied="output.weight",
        ),
        "sequence-classification": Recipe(
            "T5ForSequenceClassification",
            lambda c: SequenceClassification(
                EndToken(c.eos_token_id),
                Linear(c.d_model, c.num_labels),
                c.problem_type,
                DenseTransform(
                    c.d_model, "tanh", dropout_before=c.classifier_dropout, dropout_after=c.classifier_dropout
                ),
                start=c.start,
            ),
            {"classification_head.dense": "transform.dense", "classification_head.out_proj": "output"},
            prefix="transformer",
        ),
        "token-classification": Recipe(
            "T5ForTokenClassification",
            lambda c: TokenClassification(Linear(c.d_model, c.num_labels), c.classifier_dropout),
            {"classifier": "output"},
            prefix="transformer",
            body=encoder_only,
        ),
        "question-answering": Recipe(
            "T5ForQuestionAnswering",
            lambda c: QuestionAnswering(Linear(c.d_model, 2), start=c.start),
            {"qa_outputs": "output"},
        ),
    },
)
