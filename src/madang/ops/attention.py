"""Attention: the one function that chooses a kernel, and how it is applied to packed and padded batches."""

# B batch  T query tokens  S key tokens  H query heads  K key/value heads  D head size  N packed tokens  L one length
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from madang.ops.dropout import dropout as drop
from madang.ops.packing import Layout, Packed, Padded


@dataclass(frozen=True)
class Bidirectional:
    """Every token sees every token of its text."""

    def visible(self, queries: int, keys: int, device: torch.device) -> Tensor | None:
        """Which keys each query may see, (T, S) with True = visible; None when it is all of them."""
        return None


@dataclass(frozen=True)
class Causal:
    """A token sees itself and the tokens before it."""

    def visible(self, queries: int, keys: int, device: torch.device) -> Tensor | None:
        """Which keys each query may see, (T, S); the queries are the last T of the S tokens."""
        if queries == 1:
            return None
        return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


Sees = Bidirectional | Causal


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """softmax(query · key * scale + mask) · value by the fastest kernel.

    (B, H, T, D), (B, K, S, D) x 2 -> (B, H, T, D). `mask` is boolean (True = visible) or numbers added to the scores,
    and broadcasts to (B, H, T, S).
    """
    if dropout and query.device.type == "cpu":
        # torch has no kernel for it here and works the formula out itself, with its slow dropout: 1.6 times as long
        if causal:
            mask = Causal().visible(query.shape[2], key.shape[2], query.device)
        return plain_attention(query, key, value, mask=mask, scale=scale, dropout=dropout)[0]
    if key.shape[1] != query.shape[1]:
        key, value = repeat_heads(key, query.shape[1]), repeat_heads(value, query.shape[1])
    return scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=causal, scale=scale, dropout_p=dropout
    )


def plain_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """The formula as the paper has it (Vaswani et al. 2017, equation 1); also returns the weights, (B, H, T, S)."""
    if key.shape[1] != query.shape[1]:
        key, value = repeat_heads(key, query.shape[1]), repeat_heads(value, query.shape[1])
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min) if mask.dtype == torch.bool else scores + mask
    # float32: half precision loses the small weights of long texts
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
    return drop(weights, dropout) @ value, weights


def repeat_heads(x: Tensor, heads: int) -> Tensor:
    """Give each group of query heads its own view of the shared key or value head: (B, K, S, D) -> (B, H, S, D)."""
    batch, shared, tokens, size = x.shape
    return x[:, :, None].expand(batch, shared, heads // shared, tokens, size).reshape(batch, heads, tokens, size)


def attend_packed(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Packed,
    sees: Sees,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attention within each text of a packed batch: (N, H, D), (N, K, D) x 2 -> (N, H, D).

    `bias` (H, T, T), added to the scores, depends on the distance of two tokens only, so each length takes its corner.
    """
    # The formula with dropout is some twenty small operations for each run, there and back: with texts of 16 tokens few
    # rectangles take 5% off a training step on two cores. Without dropout a run is one kernel: nothing to gain.
    few = layout.rectangles if dropout and query.device.type == "cpu" else None
    if few is None:
        none = (None,) * len(layout.runs)
        return attend_rectangles(query, key, value, layout.runs, none, sees, bias=bias, scale=scale, dropout=dropout)
    query, key, value = (few.spread(x) for x in (query, key, value))
    mixed = attend_rectangles(query, key, value, few.shapes, few.hiding, sees, bias=bias, scale=scale, dropout=dropout)
    return few.gather(mixed)


def attend_rectangles(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    shapes: Sequence[tuple[int, int]],
    hiding: Sequence[Tensor | None],
    sees: Sees,
    *,
    bias: Tensor | None,
    scale: float | None,
    dropout: float,
) -> Tensor:
    """Attention within each text of several rectangles (texts, L), one after the other: (M, H, D) -> (M, H, D).

    `hiding` (texts, 1, 1, L) is added to the scores, so that nobody sees the padding at the ends of texts.
    """
    mixed = []
    causal = isinstance(sees, Causal) and bias is None
    # split, not slices: the gradient of a slice fills a whole (N, H, D) tensor with zeros, once per rectangle
    sizes = [texts * length for texts, length in shapes]
    parts = zip(*(x.split(sizes) for x in (query, key, value)), strict=True)
    for (texts, length), hidden, (q, k, v) in zip(shapes, hiding, parts, strict=True):
        q, k, v = (x.view(texts, length, *x.shape[1:]).transpose(1, 2) for x in (q, k, v))
        mask = None if causal else hidden  # padding stands behind the text, where no token of it looks anyway
        if bias is not None:
            corner = bias[:, :length, :length]
            shown = corner if hidden is None else corner + hidden
            mask = with_visibility(shown, sees.visible(length, length, bias.device))
        out = attention(q, k, v, mask=mask, causal=causal, scale=scale, dropout=dropout)
        mixed.append(out.transpose(1, 2).flatten(0, 1))
    return mixed[0] if len(mixed) == 1 else torch.cat(mixed)


def attend_padded(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    keys: Padded,
    sees: Sees,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    plain: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention in a rectangle: (B, T, H, D), (B, S, K, D) x 2 -> (B, T, H, D), and the weights when `plain`."""
    q, k, v = (x.transpose(1, 2) for x in (query, key, value))
    queries, width = q.shape[2], k.shape[2]
    causal = isinstance(sees, Causal) and queries > 1
    mask: Tensor | None = None
    if keys.mask is not None or bias is not None or plain or (causal and queries != width):
        mask = with_visibility(bias, joint_visibility(keys.mask, sees.visible(queries, width, q.device), queries))
        causal = False
    if plain:
        out, weights = plain_attention(q, k, v, mask=mask, scale=scale, dropout=dropout)
        return out.transpose(1, 2), weights
    return attention(q, k, v, mask=mask, causal=causal, scale=scale, dropout=dropout).transpose(1, 2), None


def joint_visibility(real: Tensor | None, visible: Tensor | None, queries: int) -> Tensor | None:
    """Keys that are real (B, S) and that the pattern shows (T, S), as (B or 1, 1, T or 1, S); None when that is all."""
    if real is None:
        return None if visible is None else visible[None, None]
    joint = real[:, None, None]
    if visible is None:
        return joint
    joint = joint & visible
    # a padding token before the text would see nothing, and softmax over nothing is not a number
    return joint | ~joint.any(-1, keepdim=True)


def with_visibility(bias: Tensor | None, visible: Tensor | None) -> Tensor | None:
    """One mask from a bias on the scores and a boolean visibility."""
    if bias is None or visible is None:
        return visible if bias is None else bias
    return bias.masked_fill(~visible, torch.finfo(bias.dtype).min)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    queries: Layout,
    keys: Layout,
    sees: Sees,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    plain: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of the tokens laid out as `queries` to those laid out as `keys`; the result lies as the queries do.

    Heads are an axis of their own: (…, H, D), (…, K, D) x 2 -> (…, H, D). Also the weights (B, H, T, S) when `plain`.
    """
    if isinstance(queries, Packed) and queries is keys and not plain:
        return attend_packed(query, key, value, queries, sees, bias=bias, scale=scale, dropout=dropout), None
    rectangle = (
        keys if isinstance(keys, Padded) else Padded(keys.batch, keys.width, keys.unpack(key.new_ones(len(key))) > 0)
    )
    mixed, weights = attend_padded(
        queries.unpack(query),
        keys.unpack(key),
        keys.unpack(value),
        rectangle,
        sees,
        bias=bias,
        scale=scale,
        dropout=dropout,
        plain=plain,
    )
    return queries.pack(mixed), weights
