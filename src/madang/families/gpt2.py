"""GPT-2 (Radford et al. 2019): a decoder that continues text; norms before each part, learned positions.

On disk its matrices are stored (in, out), and query, key and value as one.
"""

from madang.blocks.attention import Heads, SelfAttention
from madang.blocks.block import PreNormBlock
from madang.blocks.embedding import PositionedEmbedding
from madang.blocks.feed_forward import FeedForward
from madang.blocks.layers import LayerNorm, Linear
from madang.bodies import TextBody
from madang.checkpoints.config import Config
from madang.checkpoints.names import IGNORE, Fused, Table, Transposed
from madang.families.family import Family, Recipe, residual_spread
from madang.heads import CausalLanguage, QuestionAnswering, SequenceClassification, TokenClassification
from madang.heads.pooling import LastToken
from madang.ops.attention import Causal


class GPT2Config(Config):
    """Numbers of a GPT-2 model, under their published names."""

    model_type = "gpt2"
    spellings = {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    # scores in float32 whatever the dtype: ours always are, inside the kernel
    reorder_and_upcast_attn: bool = False
    classifier_dropout: float | None = None
    hidden_dropout: float | None = None
    bos_token_id: int | None = 50256
    eos_token_id: int | list[int] | None = 50256

    @property
    def token_dropout(self) -> float:
        """Dropout of the token classification head."""
        return next((p for p in (self.classifier_dropout, self.hidden_dropout) if p is not None), 0.1)


def body(c: GPT2Config) -> TextBody:
    """Tokens and positions, pre-norm blocks, a last norm."""
    heads = Heads.of(c.n_embd, c.n_head)

    def norm() -> LayerNorm:
        return LayerNorm(c.n_embd, c.layer_norm_epsilon)

    def scale(layer: int) -> float:
        size = heads.size**-0.5 if c.scale_attn_weights else 1.0
        return size / (layer + 1) if c.scale_attn_by_inverse_layer_idx else size

    def block(layer: int) -> PreNormBlock:
        return PreNormBlock(
            SelfAttention(c.n_embd, heads, Causal(), scale=scale(layer), dropout=c.attn_pdrop),
            FeedForward(c.n_embd, 4 * c.n_embd if c.n_inner is None else c.n_inner, c.activation_function),
            norm,
            c.resid_pdrop,
        )

    embed = PositionedEmbedding(c.vocab_size, c.n_embd, c.n_positions, dropout=c.embd_pdrop)
    return TextBody(embed, [block(i) for i in range(c.n_layer)], norm(), longest=c.n_positions, causal=True)


def weights(c: GPT2Config) -> Table:
    """Names on disk of the body's tensors."""
    attention = "blocks.{i}.attention"
    return {
        "wte": "embed.tokens",
        "wpe": "embed.positions",
        "h.{i}.ln_1": "blocks.{i}.attention_norm",
        "h.{i}.attn.c_attn": Transposed(Fused(f"{attention}.query", f"{attention}.key", f"{attention}.value")),
        "h.{i}.attn.c_proj": Transposed(f"{attention}.output"),
        "h.{i}.ln_2": "blocks.{i}.feed_forward_norm",
        "h.{i}.mlp.c_fc": Transposed("blocks.{i}.feed_forward.up"),
        "h.{i}.mlp.c_proj": Transposed("blocks.{i}.feed_forward.down"),
        "ln_f": "norm",
        # masks that old releases saved
        "h.{i}.attn.bias": IGNORE,
        "h.{i}.attn.masked_bias": IGNORE,
    }


def spread(c: GPT2Config) -> dict[str, float]:
    """Projections into the residual stream start smaller."""
    small = residual_spread(c.initializer_range, c.n_layer)
    return {"*.attention.output.weight": small, "*.feed_forward.down.weight": small}


FAMILY = Family(
    model_type="gpt2",
    stem="GPT2",
    prefix="transformer",
    config=GPT2Config,
    body=body,
    weights=weights,
    spread=spread,
    recipes={
        "body": Recipe("GPT2Model"),
        "causal-language": Recipe(
            "GPT2LMHeadModel",
            lambda c: CausalLanguage(Linear(c.n_embd, c.vocab_size, bias=False)),
            {"lm_head": "output"},
            tied="output.weight",
        ),
        "sequence-classification": Recipe(
            "GPT2ForSequenceClassification",
            lambda c: SequenceClassification(
                LastToken(c.pad_token_id), Linear(c.n_embd, c.num_labels, bias=False), c.problem_type
            ),
            {"score": "output"},
        ),
        "token-classification": Recipe(
            "GPT2ForTokenClassification",
            lambda c: TokenClassification(Linear(c.n_embd, c.num_labels), c.token_dropout),
            {"classifier": "output"},
        ),
        "question-answering": Recipe(
            "GPT2ForQuestionAnswering",
            lambda c: QuestionAnswering(Linear(c.n_embd, 2)),
            {"qa_outputs": "output"},
        ),
    },
)
