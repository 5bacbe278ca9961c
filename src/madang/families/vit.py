"""ViT (Dosovitskiy et al. 2020): an image as a row of patches, read like a text.

A learned first token gathers the answer; positions are learned for one image size and stretched on request.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate as stretch

from madang.blocks.attention import Heads, SelfAttention
from madang.blocks.block import PreNormBlock
from madang.blocks.feed_forward import FeedForward
from madang.blocks.layers import Conv2d, LayerNorm, Linear
from madang.blocks.pooler import Pooler
from madang.bodies import ImageBody
from madang.checkpoints.config import Config
from madang.checkpoints.names import IGNORE, Table
from madang.errors import InputError
from madang.families.family import Family, Recipe
from madang.heads import SequenceClassification
from madang.heads.pooling import FirstToken
from madang.ops.attention import Bidirectional


class ViTConfig(Config):
    """Numbers of a ViT model, under their published names."""

    model_type = "vit"

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    head_dim: int | None = None
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    image_size: int | list[int] = 224
    patch_size: int | list[int] = 16
    num_channels: int = 3
    qkv_bias: bool = True
    # of heads that rebuild images
    encoder_stride: int = 16
    pooler_output_size: int | None = None
    pooler_act: str = "tanh"


def pair(size: int | list[int]) -> tuple[int, int]:
    """Height and width; one number stands for both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


class PatchEmbedding(nn.Module):
    """Patches as vectors, the first token before them, positions added."""

    def __init__(
        self, channels: int, hidden: int, image: tuple[int, int], patch: tuple[int, int], dropout: float
    ) -> None:
        super().__init__()
        self.channels, self.image, self.patch = channels, image, patch
        self.grid = (image[0] // patch[0], image[1] // patch[1])
        self.patches = Conv2d(channels, hidden, patch, stride=patch)
        self.first = nn.Parameter(torch.empty(1, 1, hidden))
        self.positions = nn.Parameter(torch.empty(1, self.grid[0] * self.grid[1] + 1, hidden))
        self.dropout = nn.Dropout(dropout)

    def forward(self, pixels: Tensor, *, interpolate: bool) -> Tensor:
        """(B, channels, height, width) -> (B, 1 + patches, E)."""
        size = (pixels.shape[2], pixels.shape[3])
        if pixels.shape[1] != self.channels:
            raise InputError(f"pixel_values have {pixels.shape[1]} channels; this model reads {self.channels}.")
        if size != self.image and not interpolate:
            raise InputError(
                f"images of {size[0]} x {size[1]} pixels; this model reads {self.image[0]} x {self.image[1]}."
                " Resize them, or pass interpolate_pos_encoding=True."
            )
        x = self.patches(pixels.to(self.patches.weight.dtype)).flatten(2).transpose(1, 2)
        x = torch.cat((self.first.expand(len(x), -1, -1), x), 1)
        return self.dropout(x + (self.positions if size == self.image else self._stretched(size)))

    def _stretched(self, size: tuple[int, int]) -> Tensor:
        """Positions for another number of patches, bicubically between the learned ones."""
        grid = self.positions[:, 1:].unflatten(1, self.grid).permute(0, 3, 1, 2)
        target = (size[0] // self.patch[0], size[1] // self.patch[1])
        wider = stretch(grid, size=target, mode="bicubic", align_corners=False)
        return torch.cat((self.positions[:, :1], wider.flatten(2).transpose(1, 2)), 1)


def body(c: ViTConfig) -> ImageBody:
    """Patches, pre-norm blocks, a last norm."""
    heads = Heads.of(c.hidden_size, c.num_attention_heads, size=c.head_dim)

    def norm() -> LayerNorm:
        return LayerNorm(c.hidden_size, c.layer_norm_eps)

    def block() -> PreNormBlock:
        return PreNormBlock(
            SelfAttention(
                c.hidden_size,
                heads,
                Bidirectional(),
                bias=c.qkv_bias,
                output_bias=True,
                dropout=c.attention_probs_dropout_prob,
            ),
            FeedForward(c.hidden_size, c.intermediate_size, c.hidden_act),
            norm,
            c.hidden_dropout_prob,
        )

    embed = PatchEmbedding(c.num_channels, c.hidden_size, pair(c.image_size), pair(c.patch_size), c.hidden_dropout_prob)
    return ImageBody(embed, [block() for _ in range(c.num_hidden_layers)], norm())


def weights(c: ViTConfig) -> Table:
    """Names on disk of the body's tensors."""
    return {
        "embeddings.cls_token": "embed.first",
        "embeddings.position_embeddings": "embed.positions",
        "embeddings.patch_embeddings.projection": "embed.patches",
        "encoder.layer.{i}.layernorm_before": "blocks.{i}.attention_norm",
        "encoder.layer.{i}.attention.attention.query": "blocks.{i}.attention.query",
        "encoder.layer.{i}.attention.attention.key": "blocks.{i}.attention.key",
        "encoder.layer.{i}.attention.attention.value": "blocks.{i}.attention.value",
        "encoder.layer.{i}.attention.output.dense": "blocks.{i}.attention.output",
        "encoder.layer.{i}.layernorm_after": "blocks.{i}.feed_forward_norm",
        "encoder.layer.{i}.intermediate.dense": "blocks.{i}.feed_forward.up",
        "encoder.layer.{i}.output.dense": "blocks.{i}.feed_forward.down",
        "layernorm": "norm",
        "pooler.dense": "pooler.dense",
        # only for rebuilding hidden patches
        "embeddings.mask_token": IGNORE,
    }


FAMILY = Family(
    model_type="vit",
    stem="ViT",
    prefix="vit",
    config=ViTConfig,
    body=body,
    weights=weights,
    pooler=lambda c: Pooler(c.hidden_size, c.pooler_output_size, c.pooler_act),
    main_input="pixel_values",
    recipes={
        "body": Recipe("ViTModel", pooler=True),
        "image-classification": Recipe(
            "ViTForImageClassification",
            lambda c: SequenceClassification(FirstToken(), Linear(c.hidden_size, c.num_labels), c.problem_type),
            {"classifier": "output"},
        ),
    },
)
