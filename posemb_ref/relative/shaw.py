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
from posemb_ref.attention import Encoding, scaled
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
    q: Float[Tensor, "*batch query dim"],
    k: Float[Tensor, "*batch key dim"],
    v: Float[Tensor, "*batch key dim"],
    key_table: Float[Tensor, "row dim"],
    value_table: Float[Tensor, "row dim"],
    *,
    max_distance: int,
    causal: bool = False,
) -> Float[Tensor, "*batch query dim"]:
    """Return the attention whose keys and values depend on the clipped distance (Shaw et al., eqs. 3 to 5).

    The last query and the last key stand at the same position: query row i is at position `keys − queries + i`, key j
    at position j.

    Parameters
    ----------
    q, k, v
        Queries `(..., query, dim)`, keys and values `(..., key, dim)`, with equal leading axes.
    key_table, value_table
        The vectors a and b, `(2 * max_distance + 1, dim)`: row `r + max_distance` belongs to the clipped distance r,
        row 0 to the farthest future. Batch and heads share them.
    max_distance
        K, 0 or more: distances are clipped to −K … K.
    causal
        Let a query see only keys at its own position and before it.

    Returns
    -------
    Tensor
        `(..., query, dim)`. No `(query, key, dim)` tensor is made on the way.

    Raises
    ------
    TypeError, ValueError
        If a tensor is not floating point, a table not finite, shapes, dtypes or devices do not match, or there are more
        queries than keys under a causal mask.
    """
    expect.natural("max_distance", max_distance, least=0)
    for name, value in (("q", q), ("k", k)):
        expect.floating(name, value, min_rank=2)
    for name, value in (("key_table", key_table), ("value_table", value_table)):
        _expect_table(name, value, q, 2 * max_distance + 1)
    positions = torch.arange(k.shape[-2], device=k.device)
    query_positions = torch.arange(-q.shape[-2], 0, device=k.device) + k.shape[-2]
    given = _Tables(key_table, value_table)
    return given(q, k, v, query_positions, positions, causal=causal)


class _Tables(Encoding):
    """The third door, for scores and for values, with two tables of vectors by distance."""

    def __init__(self, key_table: Tensor, value_table: Tensor) -> None:
        super().__init__()
        self.key_table, self.value_table = key_table, value_table

    @property
    def max_distance(self) -> int:
        """K: distances are clipped to −K … K."""
        return self.key_table.shape[0] // 2

    def on_scores(
        self,
        q: Float[Tensor, "*batch query dim"],
        k: Float[Tensor, "*batch key dim"],
        query_positions: Integer[Tensor, "*#batch query"],
        key_positions: Integer[Tensor, "*#batch key"],
    ) -> Float[Tensor, "*batch query key"]:
        """Return q·a by distance, scaled as the inner products are (Shaw et al., eq. 5, second term)."""
        expect.floating("q", q, min_rank=2)
        expect.floating("k", k, min_rank=2)
        expect.same_device(q=q, key_table=self.key_table)
        if q.shape[-1] != self.key_table.shape[-1]:
            raise ValueError(f"q must have {self.key_table.shape[-1]} columns, got shape {tuple(q.shape)}")
        row = self._row(query_positions, key_positions, (*q.shape[:-1], k.shape[-2]))
        # A query has one score for each row of the table, and only then one for each key.
        by_distance = scaled(q, self.scale) @ self.key_table.to(q.dtype).mT
        return by_distance.gather(-1, row)

    def on_values(
        self,
        weights: Float[Tensor, "*batch query key"],
        query_positions: Integer[Tensor, "*#batch query"],
        key_positions: Integer[Tensor, "*#batch key"],
    ) -> Float[Tensor, "*batch query dim"]:
        """Return the mean of b under the attention weights (Shaw et al., eq. 3, second term)."""
        expect.floating("weights", weights, min_rank=2)
        expect.same_device(weights=weights, value_table=self.value_table)
        row = self._row(query_positions, key_positions, weights.shape)
        # Thousands of small weights may meet in one row: added one by one in half precision, most would be lost.
        exact = torch.promote_types(weights.dtype, torch.float32)
        by_distance = weights.new_zeros(*weights.shape[:-1], len(self.value_table), dtype=exact)
        by_distance = by_distance.scatter_add(-1, row, weights.to(exact))
        return by_distance.to(weights.dtype) @ self.value_table.to(weights.dtype)

    def forward(
        self,
        q: Float[Tensor, "*batch query dim"],
        k: Float[Tensor, "*batch key dim"],
        v: Float[Tensor, "*batch key dim"],
        query_positions: Integer[Tensor, "*#batch query"],
        key_positions: Integer[Tensor, "*#batch key"],
        *,
        causal: bool = False,
    ) -> Float[Tensor, "*batch query dim"]:
        """Attend from queries at their positions to keys at theirs; values are as wide as the table."""
        expect.floating("v", v, min_rank=2)
        if v.shape[-1] != self.value_table.shape[-1]:
            raise ValueError(f"v must have {self.value_table.shape[-1]} columns, got shape {tuple(v.shape)}")
        return super().forward(q, k, v, query_positions, key_positions, causal=causal)

    def _row(self, query_positions: Tensor, key_positions: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the row of the tables for every query and key, expanded to `shape`."""
        expect.positions("query_positions", query_positions, shape[:-1])
        expect.positions("key_positions", key_positions, (*shape[:-2], shape[-1]))
        distance = distances(query_positions, key_positions)
        return (clip_distance(distance, -self.max_distance, self.max_distance) + self.max_distance).expand(shape)


class Shaw(_Tables):
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
        expect.natural("dim", dim)
        expect.natural("max_distance", max_distance, least=0)
        start = torch.randn(2, 2 * max_distance + 1, dim) / math.sqrt(dim)
        super().__init__(nn.Parameter(start[0].clone()), nn.Parameter(start[1].clone()))


def _expect_table(name: str, table: Tensor, q: Tensor, rows: int) -> None:
    expect.floating(name, table)
    expect.same_device(q=q, **{name: table})
    expect.all_finite(name, table)
    if table.dtype != q.dtype:
        raise TypeError(f"{name} must have the dtype of q, {q.dtype}, got {table.dtype}")
    if table.shape != (rows, q.shape[-1]):
        raise ValueError(
            f"{name} must have shape {(rows, q.shape[-1])}, 2 * max_distance + 1 rows as wide as q, "
            f"got {tuple(table.shape)}"
        )
