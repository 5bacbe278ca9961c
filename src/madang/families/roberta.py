"""RoBERTa (Liu et al. 2019): BERT trained longer on more text, without sentence pairs.

Positions are counted from padding_id + 1 over the tokens that are not padding, and heads read the first token
without a pooler. klue/roberta-* are this family with a WordPiece tokenizer.
"""

from madang.blocks.embedding import CountAfterPadding, TypedEmbedding
from madang.blocks.layers import LayerNorm, Linear
from madang.blocks.pooler import Pooler
from madang.bodies import TextBody
from madang.checkpoints.names import Table
from madang.families import bert
from madang.families.family import Family, Recipe, vocabulary_bias
from madang.heads import (
    CausalLanguage,
    MaskedLanguage,
    MultipleChoice,
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
)
from madang.heads.pooling import FirstToken, PoolerOutput
from madang.heads.transform import DenseTransform, Dropped


class RobertaConfig(bert.BertConfig):
    """Numbers of a RoBERTa model, under their published names."""

    model_type = "roberta"

    vocab_size: int = 50265
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2


def body(c: RobertaConfig) -> TextBody:
    """BERT's blocks on an embedding whose positions skip padding; two rows of the table before the first position."""
    padding = 1 if c.pad_token_id is None else c.pad_token_id
    embed = TypedEmbedding(
        c.vocab_size,
        c.hidden_size,
        c.max_position_embeddings,
        c.type_vocab_size,
        LayerNorm(c.hidden_size, c.layer_norm_eps),
        dropout=c.hidden_dropout_prob,
        padding=padding,
        padding_position=padding,
        number=CountAfterPadding(padding),
    )
    longest = c.max_position_embeddings - padding - 1
    return TextBody(embed, bert.blocks(c), longest=longest, types=c.type_vocab_size, causal=c.is_decoder)


def weights(c: RobertaConfig) -> Table:
    """Names on disk of the body's tensors: BERT's."""
    return bert.weights(c)


def language_weights(c: RobertaConfig) -> Table:
    """Names on disk of the language heads' tensors."""
    return {
        "lm_head.dense": "transform.dense",
        "lm_head.layer_norm": "transform.norm",
        "lm_head.decoder": "output",
        **vocabulary_bias(c, "lm_head"),
    }


def transform(c: RobertaConfig) -> DenseTransform:
    """What the language heads do before they look up words."""
    return DenseTransform(c.hidden_size, "gelu", norm=LayerNorm(c.hidden_size, c.layer_norm_eps))


FAMILY = Family(
    model_type="roberta",
    stem="Roberta",
    prefix="roberta",
    config=RobertaConfig,
    body=body,
    weights=weights,
    pooler=lambda c: Pooler(c.hidden_size),
    recipes={
        "body": Recipe("RobertaModel", pooler=True),
        "masked-language": Recipe(
            "RobertaForMaskedLM",
            lambda c: MaskedLanguage(transform(c), Linear(c.hidden_size, c.vocab_size)),
            language_weights,
            tied="output.weight",
        ),
        "causal-language": Recipe(
            "RobertaForCausalLM",
            lambda c: CausalLanguage(Linear(c.hidden_size, c.vocab_size), transform(c)),
            language_weights,
            tied="output.weight",
        ),
        "sequence-classification": Recipe(
            "RobertaForSequenceClassification",
            lambda c: SequenceClassification(
                FirstToken(),
                Linear(c.hidden_size, c.num_labels),
                c.problem_type,
                DenseTransform(c.hidden_size, "tanh", dropout_before=c.head_dropout, dropout_after=c.head_dropout),
            ),
            {"classifier.dense": "transform.dense", "classifier.out_proj": "output"},
        ),
        "token-classification": Recipe(
            "RobertaForTokenClassification",
            lambda c: TokenClassification(Linear(c.hidden_size, c.num_labels), c.head_dropout),
            {"classifier": "output"},
        ),
        "question-answering": Recipe(
            "RobertaForQuestionAnswering",
            lambda c: QuestionAnswering(Linear(c.hidden_size, 2)),
            {"qa_outputs": "output"},
        ),
        "multiple-choice": Recipe(
            "RobertaForMultipleChoice",
            lambda c: MultipleChoice(PoolerOutput(), Linear(c.hidden_size, 1), Dropped(c.hidden_dropout_prob)),
            {"classifier": "output"},
            pooler=True,
        ),
    },
)
