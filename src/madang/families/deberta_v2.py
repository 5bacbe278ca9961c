"""DeBERTa v2 and v3 (He et al. 2021): attention in which what a token says and where it stands are apart.

The score of two tokens adds content to content, content to distance and distance to content. Distances are put into
logarithmic buckets; one table of them, normed, serves all blocks.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from madang.blocks.attention import Heads
from madang.blocks.block import NewNorm, PostNormBlock
from madang.blocks.context import Context
from madang.blocks.embedding import CountFromZero
from madang.blocks.feed_forward import FeedForward
from madang.blocks.layers import Conv1d, Embedding, LayerNorm, Linear
from madang.bodies import TextBody
from madang.checkpoints.config import Config
from madang.checkpoints.names import IGNORE, Table
from madang.families.family import Family, Recipe, vocabulary_bias
from madang.heads import MaskedLanguage, MultipleChoice, QuestionAnswering, SequenceClassification, TokenClassification
from madang.heads.pooling import FirstToken
from madang.heads.transform import DenseTransform
from madang.ops.activations import activation
from madang.ops.attention import attention, joint_visibility, plain_attention, with_visibility
from madang.ops.packing import Packed, Padded
from madang.ops.relative import log_buckets


class DebertaV2Config(Config):
    """Numbers of a DeBERTa v2 or v3 model, under their published names."""

    model_type = "deberta-v2"

    vocab_size: int = 128100
    hidden_size: int = 1536
    num_hidden_layers: int = 24
    num_attention_heads: int = 24
    attention_head_size: int | None = None
    intermediate_size: int = 6144
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-7
    relative_attention: bool = False
    max_relative_positions: int = -1
    position_buckets: int = -1
    norm_rel_ebd: str = "none"
    share_att_key: bool = False
    position_biased_input: bool = True
    pos_att_type: str | list[str] | None = None
    conv_kernel_size: int = 0
    conv_groups: int = 1
    conv_act: str = "tanh"
    embedding_size: int | None = None
    pad_token_id: int | None = 0
    pooler_hidden_size: int | None = None
    pooler_dropout: float = 0.0
    pooler_hidden_act: str = "gelu"
    cls_dropout: float | None = None
    legacy: bool = True

    @property
    def position_terms(self) -> tuple[str, ...]:
        """Which of "c2p" and "p2c" are added to the scores."""
        terms = self.pos_att_type or []
        names = terms.lower().split("|") if isinstance(terms, str) else terms
        return tuple(name for name in ("c2p", "p2c") if name in [word.strip() for word in names])

    @property
    def furthest(self) -> int:
        """The largest distance that is told from others."""
        return self.max_relative_positions if self.max_relative_positions > 0 else self.max_position_embeddings

    @property
    def head_dropout(self) -> float:
        """Dropout before the last projection of a head."""
        return self.hidden_dropout_prob if self.cls_dropout is None else self.cls_dropout


@dataclass
class Distances:
    """The table's rows for the distances of one batch, and which row each distance -(T-1) … T-1 uses."""

    rows: Tensor  # (M, E)
    row_of: Tensor  # (2T - 1,)
    _indices: dict[int, Tensor] = field(default_factory=dict)

    def index(self, length: int) -> Tensor:
        """The row for each pair of tokens of a text of `length`: (L, L), query minus key."""
        if length not in self._indices:
            middle = len(self.row_of) // 2
            place = torch.arange(length, device=self.row_of.device)
            self._indices[length] = self.row_of[place[:, None] - place + middle]
        return self._indices[length]


class DistanceTable(nn.Module):
    """One vector per bucket of distances; `buckets` 0 means one per distance up to `furthest`."""

    def __init__(self, hidden: int, buckets: int, furthest: int, norm: nn.Module) -> None:
        super().__init__()
        self.span = buckets or furthest
        self.table, self.norm = Embedding(2 * self.span, hidden), norm
        self.buckets, self.furthest = buckets, furthest

    def forward(self, queries: int, keys: int, device: torch.device) -> Distances:
        """Only the rows that occur: short texts would otherwise pay for projecting the whole table in every block."""
        # on the CPU: how many rows occur is not known beforehand, and a GPU's answer would have to be waited for
        between = torch.arange(1 - keys, keys)
        if self.buckets:
            between = log_buckets(between, self.buckets, self.furthest)
        used, row_of = torch.unique_consecutive((between + self.span).clamp(0, 2 * self.span - 1), return_inverse=True)
        used, row_of = used.to(device, non_blocking=True), row_of.to(device, non_blocking=True)
        return Distances(self.norm(self.table(used)), row_of)


class DisentangledAttention(nn.Module):
    """softmax((content·content + content·distance + distance·content) / sqrt(terms * D)) · value."""

    def __init__(self, hidden: int, heads: Heads, terms: tuple[str, ...], dropout: float, table_dropout: float) -> None:
        super().__init__()
        width = heads.query * heads.size
        self.query, self.key, self.value = (Linear(hidden, width) for _ in range(3))
        self.output = Linear(width, hidden)
        self.heads, self.terms, self.dropout = heads, terms, dropout
        self.table_dropout = nn.Dropout(table_dropout)
        self.scale = (heads.size * (1 + len(terms))) ** -0.5

    def distance_key(self, rows: Tensor) -> Tensor:
        """Distances as keys: with the content's own matrix."""
        return self.key(rows)

    def distance_query(self, rows: Tensor) -> Tensor:
        """Distances as queries: with the content's own matrix."""
        return self.query(rows)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, E) -> (N, E), or (B, T, E) -> (B, T, E)."""
        q, k, v = (part(x).unflatten(-1, (-1, self.heads.size)) for part in (self.query, self.key, self.value))
        distances: Distances | None = context.relative
        keys = queries = None
        if distances is not None:
            rows = self.table_dropout(distances.rows)
            keys = self._by_head(self.distance_key(rows)) if "c2p" in self.terms else None
            queries = self._by_head(self.distance_query(rows)) if "p2c" in self.terms else None
        layout = context.layout
        if isinstance(layout, Packed):
            mixed = self._packed(q, k, v, layout, distances, keys, queries)
        else:
            mixed = self._padded(q, k, v, layout, distances, keys, queries, context)
        return self.output(mixed.flatten(-2))

    def _by_head(self, rows: Tensor) -> Tensor:
        return rows.unflatten(-1, (-1, self.heads.size)).transpose(0, 1)  # (H, M, D)

    def _bias(
        self, q: Tensor, k: Tensor, distances: Distances | None, keys: Tensor | None, queries: Tensor | None
    ) -> Tensor | None:
        """The two terms with distances, scaled: (B, H, L, L)."""
        bias = None
        if distances is not None and (keys is not None or queries is not None):
            index = distances.index(q.shape[2]).expand(*q.shape[:2], -1, -1)
            if keys is not None:
                bias = (q @ keys.transpose(-1, -2)).gather(-1, index)
            if queries is not None:
                # rows of the product belong to keys, so the pairs are turned round and back
                term = (k @ queries.transpose(-1, -2)).gather(-1, index.transpose(-1, -2)).transpose(-1, -2)
                bias = term if bias is None else bias + term
        return None if bias is None else bias * self.scale

    def _packed(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        layout: Packed,
        distances: Any,
        keys: Tensor | None,
        queries: Tensor | None,
    ) -> Tensor:
        mixed = []
        sizes = layout.sizes
        for (texts, length), *run in zip(layout.runs, q.split(sizes), k.split(sizes), v.split(sizes), strict=True):
            a, b, c = (part.unflatten(0, (texts, length)).transpose(1, 2) for part in run)
            bias = self._bias(a, b, distances, keys, queries)
            dropout = self.dropout if self.training else 0.0
            out = attention(a, b, c, mask=bias, scale=self.scale, dropout=dropout)
            mixed.append(out.transpose(1, 2).flatten(0, 1))
        return torch.cat(mixed)

    def _padded(
        self, q: Tensor, k: Tensor, v: Tensor, layout: Padded, distances: Any, keys: Any, queries: Any, context: Context
    ) -> Tensor:
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        mask = with_visibility(
            self._bias(q, k, distances, keys, queries), joint_visibility(layout.mask, None, layout.width)
        )
        dropout = self.dropout if self.training else 0.0
        if not context.plain:
            return attention(q, k, v, mask=mask, scale=self.scale, dropout=dropout).transpose(1, 2)
        out, weights = plain_attention(q, k, v, mask=mask, scale=self.scale, dropout=dropout)
        if context.attentions is not None:
            context.attentions.append(weights)
        return out.transpose(1, 2)


class SeparateAttention(DisentangledAttention):
    """Distances have matrices of their own (share_att_key false)."""

    def __init__(self, hidden: int, heads: Heads, terms: tuple[str, ...], dropout: float, table_dropout: float) -> None:
        super().__init__(hidden, heads, terms, dropout, table_dropout)
        width = heads.query * heads.size
        if "c2p" in terms:
            self.table_key = Linear(hidden, width)
        if "p2c" in terms:
            self.table_query = Linear(hidden, width)

    def distance_key(self, rows: Tensor) -> Tensor:
        return self.table_key(rows)

    def distance_query(self, rows: Tensor) -> Tensor:
        return self.table_query(rows)


class ConvolvedBlock(PostNormBlock):
    """The first block of v2-xlarge: neighbouring tokens also meet in a convolution of the block's input."""

    def __init__(
        self, attention: nn.Module, feed_forward: nn.Module, norm: Any, dropout: float, conv: Conv1d, act: str
    ) -> None:
        super().__init__(attention, feed_forward, norm, dropout)
        self.convolution, self.convolution_norm = conv, norm()
        self.activation = activation(act)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(…, E) -> (…, E)."""
        rectangle = context.layout.unpack(x)
        if isinstance(context.layout, Padded) and context.layout.mask is not None:
            rectangle = rectangle * context.layout.mask.unsqueeze(-1)
        met = context.layout.pack(self.convolution(rectangle.transpose(1, 2)).transpose(1, 2))
        return self.convolution_norm(super().forward(x, context) + self.activation(self.dropout(met)))


class Embeddings(nn.Module):
    """Tokens, positions and types where the config has them, widened where the table is narrower than the model."""

    def __init__(self, c: DebertaV2Config) -> None:
        super().__init__()
        size = c.embedding_size or c.hidden_size
        self.tokens = Embedding(c.vocab_size, size, padding_idx=c.pad_token_id)
        self.positions = Embedding(c.max_position_embeddings, size) if c.position_biased_input else None
        self.types = Embedding(c.type_vocab_size, size) if c.type_vocab_size else None
        self.widen = Linear(size, c.hidden_size, bias=False) if size != c.hidden_size else nn.Identity()
        self.norm, self.dropout = LayerNorm(c.hidden_size, c.layer_norm_eps), nn.Dropout(c.hidden_dropout_prob)
        self.number = CountFromZero()

    def forward(self, x: Tensor, positions: Tensor, types: Tensor | None) -> Tensor:
        """Token vectors (…, size) -> (…, E)."""
        if self.positions is not None:
            x = x + self.positions(positions)
        if self.types is not None:
            x = x + (self.types.weight[0] if types is None else self.types(types))
        return self.dropout(self.norm(self.widen(x)))


def body(c: DebertaV2Config) -> TextBody:
    """Embedding, post-norm blocks with disentangled attention, the table of distances."""
    heads = Heads.of(c.hidden_size, c.num_attention_heads, size=c.attention_head_size)
    kind = DisentangledAttention if c.share_att_key or not c.relative_attention else SeparateAttention

    def norm() -> LayerNorm:
        return LayerNorm(c.hidden_size, c.layer_norm_eps)

    def parts() -> tuple[nn.Module, nn.Module, NewNorm, float]:
        attend = kind(c.hidden_size, heads, c.position_terms, c.attention_probs_dropout_prob, c.hidden_dropout_prob)
        return attend, FeedForward(c.hidden_size, c.intermediate_size, c.hidden_act), norm, c.hidden_dropout_prob

    blocks = [PostNormBlock(*parts()) for _ in range(c.num_hidden_layers)]
    if c.conv_kernel_size > 0:
        around = (c.conv_kernel_size - 1) // 2
        conv = Conv1d(c.hidden_size, c.hidden_size, c.conv_kernel_size, padding=around, groups=c.conv_groups)
        blocks[0] = ConvolvedBlock(*parts(), conv=conv, act=c.conv_act)
    table = None
    if c.relative_attention:
        normed = norm() if "layer_norm" in c.norm_rel_ebd.lower() else nn.Identity()
        table = DistanceTable(c.hidden_size, max(c.position_buckets, 0), c.furthest, normed)
    longest = c.max_position_embeddings if c.position_biased_input else None
    return TextBody(Embeddings(c), blocks, relative=table, longest=longest, types=c.type_vocab_size)


def weights(c: DebertaV2Config) -> Table:
    """Names on disk of the body's tensors."""
    return {
        "embeddings.word_embeddings": "embed.tokens",
        "embeddings.position_embeddings": "embed.positions",
        "embeddings.token_type_embeddings": "embed.types",
        "embeddings.embed_proj": "embed.widen",
        "embeddings.LayerNorm": "embed.norm",
        "encoder.rel_embeddings": "relative.table",
        "encoder.LayerNorm": "relative.norm",
        "encoder.conv.conv": "blocks.0.convolution",
        "encoder.conv.LayerNorm": "blocks.0.convolution_norm",
        "encoder.layer.{i}.attention.self.query_proj": "blocks.{i}.attention.query",
        "encoder.layer.{i}.attention.self.key_proj": "blocks.{i}.attention.key",
        "encoder.layer.{i}.attention.self.value_proj": "blocks.{i}.attention.value",
        "encoder.layer.{i}.attention.self.pos_key_proj": "blocks.{i}.attention.table_key",
        "encoder.layer.{i}.attention.self.pos_query_proj": "blocks.{i}.attention.table_query",
        "encoder.layer.{i}.attention.output.dense": "blocks.{i}.attention.output",
        "encoder.layer.{i}.attention.output.LayerNorm": "blocks.{i}.attention_norm",
        "encoder.layer.{i}.intermediate.dense": "blocks.{i}.feed_forward.up",
        "encoder.layer.{i}.output.dense": "blocks.{i}.feed_forward.down",
        "encoder.layer.{i}.output.LayerNorm": "blocks.{i}.feed_forward_norm",
        "embeddings.position_ids": IGNORE,
    }


def prediction_weights(c: DebertaV2Config) -> Table:
    """The masked language head lives under one of two names."""
    # v3 files hold a second head of pre-training
    ignored = dict.fromkeys(("mask_predictions.{i}.weight", "mask_predictions.{i}.bias"), IGNORE)
    if not c.legacy:
        head = "lm_predictions.lm_head"
        return {
            f"{head}.dense": "transform.dense",
            f"{head}.LayerNorm": "transform.norm",
            f"{head}.bias": "output.bias",
            f"{head}.decoder": "output",
            **ignored,
        }
    return {
        "cls.predictions.transform.dense": "transform.dense",
        "cls.predictions.transform.LayerNorm": "transform.norm",
        "cls.predictions.decoder": "output",
        **vocabulary_bias(c, "cls.predictions"),
        **ignored,
    }


def predictions(c: DebertaV2Config) -> MaskedLanguage:
    """Down to the width of the token table, then the table itself."""
    size = c.embedding_size or c.hidden_size
    transform = DenseTransform(c.hidden_size, c.hidden_act, size=size, norm=LayerNorm(size, c.layer_norm_eps))
    return MaskedLanguage(transform, Linear(size, c.vocab_size))


def first_token(c: DebertaV2Config) -> DenseTransform:
    """What the classification heads do with the first token."""
    size = c.pooler_hidden_size or c.hidden_size
    return DenseTransform(size, c.pooler_hidden_act, dropout_before=c.pooler_dropout, dropout_after=c.head_dropout)


FAMILY = Family(
    model_type="deberta-v2",
    stem="DebertaV2",
    prefix="deberta",
    config=DebertaV2Config,
    body=body,
    weights=weights,
    recipes={
        "body": Recipe("DebertaV2Model"),
        "masked-language": Recipe("DebertaV2ForMaskedLM", predictions, prediction_weights, tied="output.weight"),
        "sequence-classification": Recipe(
            "DebertaV2ForSequenceClassification",
            lambda c: SequenceClassification(
                FirstToken(), Linear(c.hidden_size, c.num_labels), c.problem_type, first_token(c)
            ),
            {"pooler.dense": "transform.dense", "classifier": "output"},
        ),
        "token-classification": Recipe(
            "DebertaV2ForTokenClassification",
            lambda c: TokenClassification(Linear(c.hidden_size, c.num_labels), c.hidden_dropout_prob),
            {"classifier": "output"},
        ),
        "question-answering": Recipe(
            "DebertaV2ForQuestionAnswering",
            lambda c: QuestionAnswering(Linear(c.hidden_size, 2)),
            {"qa_outputs": "output"},
        ),
        "multiple-choice": Recipe(
            "DebertaV2ForMultipleChoice",
            lambda c: MultipleChoice(FirstToken(), Linear(c.hidden_size, 1), first_token(c)),
            {"pooler.dense": "transform.dense", "classifier": "output"},
        ),
    },
)
