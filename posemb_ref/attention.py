"""Softmax attention, and the three doors through which a position can reach it.

Before the doors stands a question, where does a token stand? (`place`). A position then enters at the input (`x + p`),
on queries and keys (a transformation), or on the scores (added terms). Behind the doors there is one road, `scores`. An
encoding is an `Encoding` that overrides what it uses; everything else is this one attention.

Source: Vaswani et al. (2017), "Attention is all you need", eq. (1).
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from posemb_ref import expect

Tokens = Float[Tensor, "*batch seq dim"]  # before or after they are projected; leading axes are batch and heads
Queries = Float[Tensor, "*batch query dim"]
Keys = Float[Tensor, "*batch key dim"]
Values = Float[Tensor, "*batch key value"]
Scores = Float[Tensor, "*batch query key"]  # before the softmax, or weights after it
Output = Float[Tensor, "*batch query value"]
Positions = Real[Tensor, "..."]  # (..., seq), or (..., seq, axes) where a position has several coordinates


def attention(
    q: Queries,
    k: Keys,
    v: Values,
    *,
    bias: Float[Tensor, "..."] | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Output:
    """Return softmax(scale · q k⊤ + bias) v.

    Parameters
    ----------
    q, k, v
        Queries `(..., query, dim)`, keys `(..., key, dim)` and values `(..., key, value)`, with equal leading axes.
    bias
        Added to the scaled scores; broadcasts to `(..., query, key)`.
    causal
        Let query row i see the keys up to position `key − query + i`, so that the last query sees every key.
    scale
        Factor on the inner products; 1/√dim when None.

    Raises
    ------
    TypeError, ValueError
        If a tensor is not floating point, shapes do not match, there are more queries than keys under a causal mask,
        or the bias is of a wider type than q, holds NaN or inf, or leaves a query with no key to look at.
    """
    expect.attention(q, k, v)
    weights = attention_weights(attention_scores(q, k, bias=bias, scale=scale), causal=causal)
    if bias is not None and expect.readable(bias) and not (bias < math.inf).all():  # False for NaN as well
        raise ValueError("bias must hold numbers or -inf, got NaN or inf")
    return weights @ v


def attention_scores(
    q: Queries, k: Keys, *, bias: Float[Tensor, "..."] | None = None, scale: float | None = None
) -> Scores:
    """Return scale · q k⊤ + bias: arguments and errors as in `attention`."""
    expect.attention(q, k)
    scores = scaled(q, scale) @ k.mT
    if bias is None:
        return scores
    expect.floating("bias", bias)
    if torch.promote_types(q.dtype, bias.dtype) != q.dtype:
        raise TypeError(f"bias must not be wider than q, {q.dtype}, got {bias.dtype}")
    expect.same_device(q=q, bias=bias)
    expect.broadcasts_to("bias", bias.shape, scores.shape)
    return scores + bias


def attention_weights(scores: Scores, *, causal: bool = False) -> Scores:
    """Return the softmax of the scores over the keys; `causal` as in `attention`."""
    expect.floating("scores", scores, min_rank=2)
    expect.boolean("causal", causal)
    if causal:
        scores = scores.masked_fill(_future(*scores.shape[-2:], scores.device), -math.inf)
    if expect.readable(scores) and scores.isneginf().all(-1).any():
        raise ValueError("scores + bias must leave every query at least one key, got a row of -inf")
    return scores.softmax(-1)


def scaled(q: Queries, scale: float | None) -> Queries:
    """Return scale · q, with 1/√dim for None: scaled only afterwards, inner products would overflow in float16."""
    if scale is None:
        scale = 1 / math.sqrt(q.shape[-1])
    expect.finite("scale", scale)
    return q * scale


def _future(queries: int, keys: int, device: torch.device) -> Tensor:
    if queries > keys:
        raise ValueError(
            f"causal attention needs at least as many keys as queries, got q with {queries} and k with {keys}"
        )
    return torch.ones(queries, keys, dtype=torch.bool, device=device).triu(keys - queries + 1)


class Encoding(nn.Module):
    """Attention without positions: three doors, all of them closed. Subclasses override what they use.

    Positions are `(seq,)`, or have all leading axes of the vectors, each of them in full or 1: `(batch, 1, seq)` for
    vectors `(batch, heads, seq, dim)`. The doors may take for granted what `scores` and `forward` have checked.

    Attributes
    ----------
    scale
        Factor on the inner products of queries and keys; 1/√dim when None.
    axes
        How many coordinates a position has, as the last axis of positions `(..., seq, axes)`; None for a number.
    """

    scale: float | None = None
    axes: int | None = None

    def place(
        self, tokens: Tokens, query_positions: Positions, key_positions: Positions
    ) -> tuple[Positions, Positions]:
        """Say where the last tokens, which ask, and all tokens, which answer, stand: as given, unless tokens say so.

        It comes before everything else, and the other methods are called with what it returns.
        """
        return query_positions, key_positions

    def at_input(self, x: Tokens, positions: Positions) -> Tokens:
        """Open the first door: x + p, for token vectors x before they are projected."""
        return x

    def on_query(self, q: Tokens, positions: Positions) -> Tokens:
        """Open the second door for queries at positions m."""
        return q

    def on_key(self, k: Tokens, positions: Positions) -> Tokens:
        """Open the second door for keys at positions n."""
        return k

    def on_scores(
        self, q: Queries, k: Keys, query_positions: Positions, key_positions: Positions
    ) -> Float[Tensor, "..."] | None:
        """Open the third door: terms to add to the scaled scores, broadcasting to `(..., query, key)`, or None.

        It receives q and k as they are before the second door.
        """
        return None

    def on_values(self, weights: Scores, query_positions: Positions, key_positions: Positions) -> Output | None:
        """Open the third door for the values: what the attention weights add to the output, or None."""
        return None

    def scores(self, q: Queries, k: Keys, query_positions: Positions, key_positions: Positions) -> Scores:
        """Return the scores before the softmax: what the laws of relative position are about.

        As in `forward`, the first door lies behind: `at_input` is not called here.
        """
        expect.attention(q, k)
        expect.per_row("query_positions", query_positions, q.shape[:-1], self.axes)
        expect.per_row("key_positions", key_positions, k.shape[:-1], self.axes)
        bias = self.on_scores(q, k, query_positions, key_positions)
        q, k = self.on_query(q, query_positions), self.on_key(k, key_positions)
        return attention_scores(q, k, bias=bias, scale=self.scale)

    def forward(
        self,
        q: Queries,
        k: Keys,
        v: Values,
        query_positions: Positions,
        key_positions: Positions,
        *,
        causal: bool = False,
    ) -> Output:
        """Attend from queries at their positions to keys at theirs.

        Tokens go through the first door before they are projected to q, k and v: `at_input` is not called here. An
        encoding that opens only that door, an `Absolute`, makes nothing of the positions.
        """
        expect.attention(q, k, v)
        weights = attention_weights(self.scores(q, k, query_positions, key_positions), causal=causal)
        added = self.on_values(weights, query_positions, key_positions)
        return weights @ v if added is None else weights @ v + added


class Absolute(Encoding):
    """An absolute encoding: it opens the first door, and adds a vector that belongs to the position.

    Call `at_input` on the tokens, before they are projected: behind it, `scores` and the attention itself are those of
    an `Encoding` without positions, whatever positions they are given.

    Parameters
    ----------
    vectors
        Maps positions `(..., seq)` to vectors p `(..., seq, dim)`: a `LearnedEncoding`, or `sinusoidal` with its `dim`.
    """

    def __init__(self, vectors: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.vectors = vectors

    def at_input(self, x: Tokens, positions: Positions) -> Tokens:
        """Return x + p."""
        expect.floating("x", x, min_rank=2)
        p = self.vectors(positions)
        if p.shape[-2:] != x.shape[-2:]:
            raise ValueError(f"positions must have one vector per row of x {tuple(x.shape)}, got {tuple(p.shape)}")
        expect.per_row("positions", positions, x.shape[:-1])
        return x + p.to(x.dtype)
