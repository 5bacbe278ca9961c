"""Leaving padding out: how the tokens of a batch of texts of different lengths lie in memory.

A body packs its input once, at the entrance, and unpacks once, at the exit. In between every layer works on
(N, hidden), N being the number of real tokens; only attention asks the layout which tokens belong together.
"""

# B batch  T tokens of the longest text  N real tokens of the whole batch  L length of one text
from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class Padded:
    """Texts as rows of a rectangle: tensors are (B, T, …).

    `mask` (B, S), True = real, hides some keys, None hides none. S is T, or more when a cache holds keys of earlier
    tokens.
    """

    batch: int
    width: int
    mask: Tensor | None = None

    def pack(self, x: Tensor) -> Tensor:
        """(B, T, …) stays as it is."""
        return x

    def unpack(self, x: Tensor) -> Tensor:
        """(B, T, …) stays as it is."""
        return x

    def has_empty(self) -> bool:
        """Whether some text has no token at all."""
        return self.mask is not None and not bool(self.mask.any(1).all())

    def first(self, x: Tensor) -> Tensor:
        """The first real token of each text: (B, T, E) -> (B, E)."""
        if self.mask is None:
            return x[:, 0]
        return self.at(x, self.mask.int().argmax(1))

    def at(self, x: Tensor, columns: Tensor) -> Tensor:
        """The token in the given column of each row: (B, T, E), (B,) -> (B, E)."""
        return x[torch.arange(self.batch, device=x.device), columns]


@dataclass(frozen=True)
class Packed:
    """Only the real tokens, one text after the other, shorter texts first: tensors are (N, …).

    Texts of one length are neighbours, so each run of them is a rectangle without padding: attention works on
    views of it and never needs a mask. The order costs nothing, since gathering the tokens is needed anyway.
    """

    batch: int
    width: int
    cells: Tensor  # (N,) where each packed token stands in the flattened (B * T) rectangle
    runs: tuple[tuple[int, int], ...]  # (texts, L) for each run of texts of one length L
    order: Tensor  # (B,) the row of the rectangle that each packed text came from
    lengths: tuple[int, ...] = field(repr=False)  # of the packed texts, ascending

    @property
    def sizes(self) -> list[int]:
        """Tokens in each run."""
        return [texts * length for texts, length in self.runs]

    @cached_property
    def rectangles(self) -> Rectangles | None:
        """The texts in fewer rectangles than runs, with a little padding; None for long texts, which gain nothing."""
        scores = sum(texts * length**2 for texts, length in self.runs)
        return _rectangles(self.runs) if scores < RECTANGLE * len(self.runs) else None

    def pack(self, x: Tensor) -> Tensor:
        """Remove padding: (B, T, …) -> (N, …). `unpack` undoes it."""
        return x.flatten(0, 1).index_select(0, self.cells)

    def unpack(self, x: Tensor) -> Tensor:
        """Put packed tokens back: (N, …) -> (B, T, …), zeros where there is no token."""
        full = x.new_zeros(self.batch * self.width, *x.shape[1:])
        return full.index_copy(0, self.cells, x).unflatten(0, (self.batch, self.width))

    def has_empty(self) -> bool:
        """Whether some text has no token at all."""
        return self.lengths[0] == 0

    def first(self, x: Tensor) -> Tensor:
        """The first real token of each text: (N, E) -> (B, E); zeros for a text without tokens."""
        starts = torch.tensor((0, *self.lengths[:-1])).cumsum(0).to(x.device, non_blocking=True)
        real = torch.tensor([length > 0 for length in self.lengths]).to(x.device, non_blocking=True)
        taken = x.index_select(0, starts.clamp(max=len(x) - 1)) * real.unsqueeze(-1)
        return torch.empty_like(taken).index_copy(0, self.order, taken)

    def at(self, x: Tensor, columns: Tensor) -> Tensor:
        """The token in the given column of each row: (N, E), (B,) -> (B, E); zeros where that cell is padding."""
        place = torch.full((self.batch * self.width,), -1, device=x.device)
        place[self.cells] = torch.arange(len(x), device=x.device)
        chosen = place[torch.arange(self.batch, device=x.device) * self.width + columns]
        return x.index_select(0, chosen.clamp(min=0)) * (chosen >= 0).unsqueeze(-1)


Layout = Padded | Packed


# What one rectangle more costs attention there and back, on two cores and with 12 heads, whatever its size: as much as
# this many scores of a head.
RECTANGLE = 1000


@dataclass(frozen=True)
class Rectangles:
    """The texts of a packed batch once more, for attention: in few rectangles, each as wide as its longest text."""

    shapes: tuple[tuple[int, int], ...]  # (texts, L) of each rectangle
    hiding: tuple[Tensor | None, ...]  # (texts, 1, 1, L) for the scores: minus infinity at padding; None without any
    cells: Tensor  # (N,) where each packed token stands in the flattened rectangles

    @property
    def sizes(self) -> list[int]:
        """Cells of each rectangle."""
        return [texts * length for texts, length in self.shapes]

    def spread(self, x: Tensor) -> Tensor:
        """Put packed tokens into the rectangles: (N, …) -> (sum of sizes, …), zeros where there is no token."""
        if sum(self.sizes) == len(x):
            return x
        return x.new_zeros(sum(self.sizes), *x.shape[1:]).index_copy(0, self.cells, x)

    def gather(self, x: Tensor) -> Tensor:
        """Take the tokens out of the rectangles: (sum of sizes, …) -> (N, …)."""
        return x if len(x) == len(self.cells) else x.index_select(0, self.cells)


def choose_layout(shape: tuple[int, int], mask: Tensor | None, *, pack: bool = True) -> Layout:
    """The layout for a (B, T) batch whose `mask` (B, T) says which tokens are real (non-zero).

    Nothing hidden: padded without a mask. Padding at the ends of texts: packed. Holes inside a text, or `pack=False`:
    padded with the mask, because a relative position is counted from neighbours in the rectangle.
    """
    batch, width = shape
    if mask is None:
        return Padded(batch, width)
    device, mask = mask.device, readable(mask)
    visible = mask != 0
    lengths = visible.sum(1)
    listed: list[int] = lengths.tolist()
    if all(length == width for length in listed):
        return Padded(batch, width)
    if not pack or not any(listed) or _has_holes(visible, lengths):
        return Padded(batch, width, visible.to(device, non_blocking=True))
    order = sorted(range(batch), key=listed.__getitem__)
    ascending = tuple(listed[row] for row in order)
    rows = torch.tensor(order, device=mask.device)
    cells = torch.arange(batch * width, device=mask.device).view(batch, width)[rows][visible[rows]]
    cells, rows = cells.to(device, non_blocking=True), rows.to(device, non_blocking=True)
    return Packed(batch, width, cells, _runs(ascending), rows, ascending)


def mask_on(device: torch.device, mask: Tensor) -> Tensor:
    """The mask (B, T) of a batch on the device of the model, with the one it was made from kept beside it.

    `choose_layout` reads that one: to read it off a GPU, the program would have to wait for all work under way.
    """
    moved = mask.to(device, non_blocking=True)
    if moved is not mask and not moved.is_inference():
        moved.before = (mask, moved._version)  # type: ignore[attr-defined]
    return moved


def readable(mask: Tensor) -> Tensor:
    """What `mask_on` moved, unless somebody has written into the mask since; else the mask itself."""
    before, version = getattr(mask, "before", (mask, None))
    if version is None or version != mask._version:
        return mask
    assert isinstance(before, Tensor)
    return before


@dataclass(frozen=True)
class Row:
    """A single row made of several texts, one after the other, and the rectangle with one text in each row.

    (1, N, …) <-> (B, T, …), B being the number of texts and T the tokens of the longest.
    """

    lengths: tuple[int, ...]
    mask: Tensor  # (B, T), 1 = real
    cells: Tensor  # (N,) where each token stands in the flattened (B * T) rectangle

    def apart(self, x: Tensor) -> Tensor:
        """(1, N, …) -> (B, T, …), zeros where there is no token."""
        full = x.new_zeros(self.mask.numel(), *x.shape[2:])
        return full.index_copy(0, self.cells, x[0]).unflatten(0, self.mask.shape)

    def together(self, x: Tensor) -> Tensor:
        """(B, T, …) -> (1, N, …)."""
        return x.flatten(0, 1).index_select(0, self.cells)[None]

    def pairs_together(self, x: Tensor) -> Tensor:
        """One number per pair of tokens of a text, (B, H, T, T) -> (1, H, N, N), zeros between texts."""
        blocks = [x[text, :, :length, :length] for text, length in enumerate(self.lengths)]
        return torch.stack([torch.block_diag(*heads) for heads in zip(*blocks, strict=True)])[None]


def texts_in_row(positions: Tensor) -> Row | None:
    """The texts of a row, by its positions (1, N): a text begins wherever they begin anew. None when they never do.

    Positions count as those of several texts when each step is one up, or back to where the row began.
    """
    ups, first = positions[0, 1:] == positions[0, :-1] + 1, positions[0, 1:] == positions[0, 0]
    if bool(ups.all()) or not bool((ups | first).all()):
        return None
    starts = [0, *((~ups).nonzero().squeeze(1) + 1).tolist(), positions.shape[1]]
    lengths = tuple(end - start for start, end in pairwise(starts))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    device = positions.device
    return Row(lengths, mask.long().to(device), mask.flatten().nonzero().squeeze(1).to(device))


def _has_holes(visible: Tensor, lengths: Tensor) -> bool:
    """Whether some text has padding between two of its tokens."""
    width = visible.shape[1]
    first = visible.int().argmax(1)
    last = width - 1 - visible.flip(1).int().argmax(1)
    return bool(((last - first + 1 != lengths) & (lengths > 0)).any())


def _runs(ascending: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """How many texts there are of each length, shortest first; texts without tokens take no room."""
    counts: dict[int, int] = {}
    for length in ascending:
        counts[length] = counts.get(length, 0) + 1
    return tuple((texts, length) for length, texts in counts.items() if length > 0)


def _rectangles(runs: tuple[tuple[int, int], ...]) -> Rectangles:
    """A run joins the longer ones behind it where its padding costs less than a rectangle of its own."""
    groups: list[list[tuple[int, int]]] = []  # longest first
    for texts, length in reversed(runs):
        widest = groups[-1][0][1] if groups else 0
        if groups and texts * (widest**2 - length**2) < RECTANGLE:
            groups[-1].append((texts, length))
        else:
            groups.append([(texts, length)])
    shapes, hiding, cells, first = [], [], [], 0
    for group in reversed(groups):
        lengths = torch.tensor([length for texts, length in reversed(group) for _ in range(texts)])
        width = group[0][1]
        real = torch.arange(width) < lengths[:, None]
        shapes.append((len(lengths), width))
        hiding.append(
            None if len(group) == 1 else torch.zeros(real.shape).masked_fill_(~real, -torch.inf)[:, None, None]
        )
        cells.append(real.flatten().nonzero().squeeze(1) + first)
        first += real.numel()
    return Rectangles(tuple(shapes), tuple(hiding), torch.cat(cells))
