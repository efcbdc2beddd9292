"""Shaw's relative positions: a vector for each clipped distance, added to the keys and to the values.

A score is q·(k + a) and an output the mean of v + b, where a and b are rows of two trained tables, chosen by the
distance r = m − n. Beyond ±max_distance all distances share the outermost row.

Source: Shaw, Uszkoreit and Vaswani (2018), "Self-attention with relative position representations", section 3. The
paper's tables are in the opposite order: its distance is j − i, key less query.
"""

import math

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor, nn

from posemb_ref import expect
from posemb_ref.attention import (
    Encoding,
    Keys,
    Output,
    Positions,
    Queries,
    Scores,
    Values,
    attention_scores,
    attention_weights,
    scaled,
)
from posemb_ref.distance import distances


def clip_distance(distance: Integer[Tensor, "*shape"], low: int, high: int) -> Int64[Tensor, "*shape"]:
    """Return clip(m − n, low, high): below `low` the distance is `low`, above `high` it is `high`.

    Parameters
    ----------
    distance
        Query position less key position. Any shape, any integer dtype.
    low, high
        The least and the greatest distance that are kept, low ≤ high. Shaw's are −K and K.

    Returns
    -------
    Tensor
        int64, of the shape and on the device of `distance`.

    Raises
    ------
    TypeError, ValueError
        If `distance` is not a tensor of integers, `low` or `high` is not an int, or `low` exceeds `high`.

    Notes
    -----
    Source: (Shaw et al., section 3.2), for the distance n − m, with k for K.
    """
    expect.integers("distance", distance)
    expect.integer("low", low)
    expect.integer("high", high)
    if low > high:
        raise ValueError(f"low must be at most high, got low {low} and high {high}")
    return distance.long().clamp(low, high)


def shaw_attention(
    q: Queries,
    k: Keys,
    v: Values,
    key_table: Float[Tensor, "row dim"],
    value_table: Float[Tensor, "row value"],
    *,
    max_distance: int,
    causal: bool = False,
) -> Output:
    """Return the attention whose keys and values depend on the clipped distance (Shaw et al., eqs. 3 to 5).

    The last query and the last key stand at the same position: query row i is at position `keys − queries + i`, key j
    at position j.

    Parameters
    ----------
    q, k, v
        Queries `(..., query, dim)`, keys `(..., key, dim)` and values `(..., key, value)`, with equal leading axes.
    key_table, value_table
        The vectors a and b, `(2 * max_distance + 1, dim)` and `(2 * max_distance + 1, value)`: row `r + max_distance`
        belongs to the clipped distance r, row 0 to the farthest future. Batch and heads share them.
    max_distance
        K, 0 or more: distances are clipped to −K … K.
    causal
        Let a query see only keys at its own position and before it.

    Returns
    -------
    Tensor
        `(..., query, value)`. No `(query, key, dim)` tensor is made on the way.

    Raises
    ------
    TypeError, ValueError
        If a tensor is not floating point, a table not finite, shapes, dtypes or devices do not match, or there are more
        queries than keys under a causal mask.
    """
    expect.natural("max_distance", max_distance, least=0)
    expect.attention(q, k, v)
    _expect_tables(q, v, key_table, value_table, max_distance)
    positions = torch.arange(k.shape[-2], device=k.device)
    query_positions = torch.arange(-q.shape[-2], 0, device=k.device) + k.shape[-2]
    row = _row(query_positions, positions, max_distance)
    weights = attention_weights(attention_scores(q, k, bias=_key_term(scaled(q, None), key_table, row)), causal=causal)
    return weights @ v + _value_term(weights, value_table, row)


class Shaw(Encoding):
    """Shaw's relative positions as an encoding: it opens the third door, on the scores and on the values.

    Parameters
    ----------
    dim
        Of queries, keys and values.
    max_distance
        K, 0 or more: distances are clipped to −K … K.

    Attributes
    ----------
    key_table, value_table
        Parameters `(2 * max_distance + 1, dim)`, shared by all heads; row `r + max_distance` belongs to the clipped
        distance r. Normal at first with standard deviation 1/√dim (the paper does not say how they start).
    """

    def __init__(self, dim: int, *, max_distance: int) -> None:
        super().__init__()
        expect.natural("dim", dim)
        expect.natural("max_distance", max_distance, least=0)
        self.max_distance = max_distance
        start = torch.randn(2, 2 * max_distance + 1, dim) / math.sqrt(dim)
        self.key_table, self.value_table = (nn.Parameter(table.clone()) for table in start)

    def extra_repr(self) -> str:
        """Show what the state dict does not hold."""
        return f"{self.key_table.shape[1]}, max_distance={self.max_distance}"

    def on_scores(self, q: Queries, k: Keys, query_positions: Positions, key_positions: Positions) -> Scores:
        """Return q·a by distance, scaled as the inner products are (Shaw et al., eq. 5, second term)."""
        _expect_columns("q", q, self.key_table)
        row = _row(query_positions, key_positions, self.max_distance)
        return _key_term(scaled(q, self.scale), self.key_table.to(q.dtype), row)

    def on_values(self, weights: Scores, query_positions: Positions, key_positions: Positions) -> Output:
        """Return the mean of b under the attention weights (Shaw et al., eq. 3, second term)."""
        row = _row(query_positions, key_positions, self.max_distance)
        return _value_term(weights, self.value_table.to(weights.dtype), row)

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
        """Attend from queries at their positions to keys at theirs; values are as wide as the table."""
        _expect_columns("v", v, self.value_table)
        return super().forward(q, k, v, query_positions, key_positions, causal=causal)


def _row(query_positions: Tensor, key_positions: Tensor, max_distance: int) -> Tensor:
    """Return the row of the tables for every query and key."""
    return clip_distance(distances(query_positions, key_positions), -max_distance, max_distance) + max_distance


def _key_term(q: Tensor, table: Tensor, row: Tensor) -> Tensor:
    """Return q·a: a query has one score for each row of the table, and only then one for each key."""
    return (q @ table.mT).gather(-1, row.expand(*q.shape[:-1], row.shape[-1]))


def _value_term(weights: Tensor, table: Tensor, row: Tensor) -> Tensor:
    """Return the mean of b: the weights of each row of the table are summed, and only then meet its vector."""
    # Thousands of small weights may meet in one row: added one by one in half precision, most would be lost.
    exact = torch.promote_types(weights.dtype, torch.float32)
    by_distance = weights.new_zeros(*weights.shape[:-1], len(table), dtype=exact)
    by_distance = by_distance.scatter_add(-1, row.expand(weights.shape), weights.to(exact))
    return by_distance.to(weights.dtype) @ table


def _expect_columns(name: str, value: Tensor, table: Tensor) -> None:
    expect.floating(name, value, min_rank=2)
    expect.same_device(**{name: value}, table=table)
    if value.shape[-1] != table.shape[-1]:
        raise ValueError(f"{name} must have {table.shape[-1]} columns, got shape {tuple(value.shape)}")


def _expect_tables(q: Tensor, v: Tensor, key_table: Tensor, value_table: Tensor, max_distance: int) -> None:
    expect.natural("max_distance", max_distance, least=0)
    for name, table, like, vectors in (("key_table", key_table, "q", q), ("value_table", value_table, "v", v)):
        expect.floating(name, table)
        expect.same_device(q=q, **{name: table})
        expect.all_finite(name, table)
        if table.dtype != q.dtype:
            raise TypeError(f"{name} must have the dtype of q, {q.dtype}, got {table.dtype}")
        wanted = (2 * max_distance + 1, vectors.shape[-1])
        if table.shape != wanted:
            raise ValueError(
                f"{name} must have shape {wanted}, 2 * max_distance + 1 rows as wide as {like}, "
                f"got {tuple(table.shape)}"
            )
