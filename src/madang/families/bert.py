"""BERT (Devlin et al. 2018): an encoder read in both directions, with a pooler trained on pairs of sentences.

The family most fine-tuned encoders and sentence embedders belong to. Norms follow the residual sum; positions are
learned.
"""

from madang.blocks.attention import Heads, SelfAttention
from madang.blocks.block import PostNormBlock
from madang.blocks.embedding import TypedEmbedding
from madang.blocks.feed_forward import FeedForward
from madang.blocks.layers import LayerNorm, Linear
from madang.blocks.pooler import Pooler
from madang.bodies import TextBody
from madang.checkpoints.config import Config
from madang.checkpoints.names import IGNORE, Table
from madang.families.family import Family, Recipe, vocabulary_bias
from madang.heads import (
    CausalLanguage,
    MaskedLanguage,
    MultipleChoice,
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
)
from madang.heads.pooling import PoolerOutput
from madang.heads.transform import DenseTransform, Dropped
from madang.ops.attention import Bidirectional, Causal


class BertConfig(Config):
    """Numbers of a BERT model, under their published names."""

    model_type = "bert"
    possible = {"position_embedding_type": ("absolute", None)}

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None
    is_decoder: bool = False

    @property
    def head_dropout(self) -> float:
        """Dropout before the last projection of a head."""
        return self.hidden_dropout_prob if self.classifier_dropout is None else self.classifier_dropout


def body(c: BertConfig) -> TextBody:
    """Embedding with types, then blocks that norm after each residual sum."""
    return TextBody(
        embedding(c), blocks(c), longest=c.max_position_embeddings, types=c.type_vocab_size, causal=c.is_decoder
    )


def embedding(c: BertConfig) -> TypedEmbedding:
    """Tokens, positions and sentence types, normed."""
    return TypedEmbedding(
        c.vocab_size,
        c.hidden_size,
        c.max_position_embeddings,
        c.type_vocab_size,
        LayerNorm(c.hidden_size, c.layer_norm_eps),
        dropout=c.hidden_dropout_prob,
        padding=c.pad_token_id,
    )


def blocks(c: BertConfig) -> list[PostNormBlock]:
    """The layers, shared with RoBERTa."""
    heads = Heads.of(c.hidden_size, c.num_attention_heads)
    sees = Causal() if c.is_decoder else Bidirectional()

    def block() -> PostNormBlock:
        return PostNormBlock(
            SelfAttention(c.hidden_size, heads, sees, dropout=c.attention_probs_dropout_prob),
            FeedForward(c.hidden_size, c.intermediate_size, c.hidden_act),
            lambda: LayerNorm(c.hidden_size, c.layer_norm_eps),
            c.hidden_dropout_prob,
        )

    return [block() for _ in range(c.num_hidden_layers)]


def weights(c: BertConfig) -> Table:
    """Names on disk of the body's tensors."""
    return {
        "embeddings.word_embeddings": "embed.tokens",
        "embeddings.position_embeddings": "embed.positions",
        "embeddings.token_type_embeddings": "embed.types",
        "embeddings.LayerNorm": "embed.norm",
        "encoder.layer.{i}.attention.self.query": "blocks.{i}.attention.query",
        "encoder.layer.{i}.attention.self.key": "blocks.{i}.attention.key",
        "encoder.layer.{i}.attention.self.value": "blocks.{i}.attention.value",
        "encoder.layer.{i}.attention.output.dense": "blocks.{i}.attention.output",
        "encoder.layer.{i}.attention.output.LayerNorm": "blocks.{i}.attention_norm",
        "encoder.layer.{i}.intermediate.dense": "blocks.{i}.feed_forward.up",
        "encoder.layer.{i}.output.dense": "blocks.{i}.feed_forward.down",
        "encoder.layer.{i}.output.LayerNorm": "blocks.{i}.feed_forward_norm",
        "pooler.dense": "pooler.dense",
        "embeddings.position_ids": IGNORE,
        "embeddings.token_type_ids": IGNORE,
    }


def prediction_weights(c: BertConfig) -> Table:
    """Names on disk of the language heads' tensors."""
    return {
        "cls.predictions.transform.dense": "transform.dense",
        "cls.predictions.transform.LayerNorm": "transform.norm",
        "cls.predictions.decoder": "output",
        **vocabulary_bias(c, "cls.predictions"),
        "cls.seq_relationship.weight": IGNORE,
        "cls.seq_relationship.bias": IGNORE,
    }


def transform(c: BertConfig) -> DenseTransform:
    """What the masked language head does before it looks up words."""
    return DenseTransform(c.hidden_size, c.hidden_act, norm=LayerNorm(c.hidden_size, c.layer_norm_eps))


FAMILY = Family(
    model_type="bert",
    stem="Bert",
    prefix="bert",
    config=BertConfig,
    body=body,
    weights=weights,
    pooler=lambda c: Pooler(c.hidden_size),
    recipes={
        "body": Recipe("BertModel", pooler=True),
        "masked-language": Recipe(
            "BertForMaskedLM",
            lambda c: MaskedLanguage(transform(c), Linear(c.hidden_size, c.vocab_size)),
            prediction_weights,
            tied="output.weight",
        ),
        "causal-language": Recipe(
            "BertLMHeadModel",
            lambda c: CausalLanguage(Linear(c.hidden_size, c.vocab_size), transform(c)),
            prediction_weights,
            tied="output.weight",
        ),
        "sequence-classification": Recipe(
            "BertForSequenceClassification",
            lambda c: SequenceClassification(
                PoolerOutput(), Linear(c.hidden_size, c.num_labels), c.problem_type, Dropped(c.head_dropout)
            ),
            {"classifier": "output"},
            pooler=True,
        ),
        "token-classification": Recipe(
            "BertForTokenClassification",
            lambda c: TokenClassification(Linear(c.hidden_size, c.num_labels), c.head_dropout),
            {"classifier": "output"},
        ),
        "question-answering": Recipe(
            "BertForQuestionAnswering",
            lambda c: QuestionAnswering(Linear(c.hidden_size, 2)),
            {"qa_outputs": "output"},
        ),
        "multiple-choice": Recipe(
            "BertForMultipleChoice",
            lambda c: MultipleChoice(PoolerOutput(), Linear(c.hidden_size, 1), Dropped(c.head_dropout)),
            {"classifier": "output"},
            pooler=True,
        ),
    },
)
