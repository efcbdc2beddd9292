"""T5's relative bias: one number per distance and head, added to the score.

Near distances have a bucket each. Far ones share buckets that grow on a logarithmic scale, and all those beyond a
maximum share the last one. The table has one number per bucket and head; T5 shares it between the layers of a stack.

Source: Raffel et al. (2020), "Exploring the limits of transfer learning with a unified text-to-text transformer",
section 2.1, in words. The formula of the buckets stands only in the released code (Mesh TensorFlow). The score is
eq. (8) of Su et al. (2021), arXiv:2104.09864v5.
"""

import math

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor, nn

from posemb_ref import expect
from posemb_ref.attention import Encoding, Keys, Positions, Queries
from posemb_ref.distance import distances


def bucket(
    distance: Integer[Tensor, "*shape"],
    *,
    num_buckets: int = 32,
    max_distance: int = 128,
    bidirectional: bool = True,
) -> Int64[Tensor, "*shape"]:
    """Return T5's bucket of each distance r = m − n, bit for bit that of the released float32 code.

    With B buckets for a direction and e = ⌊B/2⌋, a distance 0 ≤ r < e has bucket r. A larger one has the bucket
    e + ⌊log(r/e) / log(max_distance/e) · (B − e)⌋, but at most B − 1.

    Parameters
    ----------
    distance
        Query position less key position (T5's code has the opposite sign). Any shape, any integer dtype.
    num_buckets
        Rows of the table. Bidirectional: even, 4 or more, B = num_buckets/2; causal: 2 or more, B = num_buckets.
    max_distance
        From it on, all distances share the last bucket. More than e, and at most 2**24, as far as float32 counts.
    bidirectional
        True: the buckets of the future, r < 0, are those of the past plus B (and row B is never used).
        False: the future falls into bucket 0, and a causal mask must hide it.

    Returns
    -------
    Tensor
        int64, of the shape and on the device of `distance`, from 0 to num_buckets − 1.

    Raises
    ------
    TypeError, ValueError
        If `distance` is not a tensor of integers, or the numbers fit no table.
    """
    expect.integers("distance", distance)
    exact, one_way = _ranges(num_buckets, max_distance, bidirectional)
    distance = distance.long().clamp(-max_distance, max_distance)
    size = distance.abs() if bidirectional else distance.clamp(min=0)
    # The released code's float32 operations in their order: checkpoints were trained with these roundings.
    steps = torch.log(size.clamp(min=exact).float() / exact) / math.log(max_distance / exact) * (one_way - exact)
    far = (exact + steps.long()).clamp(max=one_way - 1)
    in_its_half = torch.where(size < exact, size, far)
    return torch.where(distance < 0, in_its_half + one_way, in_its_half) if bidirectional else in_its_half


class T5(Encoding):
    """T5's bias as an encoding: it opens the third door, and adds a number that belongs to the distance's bucket.

    T5 does not divide its inner products by √dim, so `scale` is 1: its initial query weights are smaller instead.

    Parameters
    ----------
    num_heads
        Heads of the layer; each has a bias of its own.
    num_buckets, max_distance, bidirectional
        As in `bucket`. T5's encoder is bidirectional, its decoder is not.

    Attributes
    ----------
    table
        Parameter `(num_buckets, num_heads)`, standard normal at first. (T5 starts with standard deviation
        1/√d of its model dimension d.)
    """

    scale = 1.0

    def __init__(
        self, num_heads: int, *, num_buckets: int = 32, max_distance: int = 128, bidirectional: bool = True
    ) -> None:
        super().__init__()
        expect.natural("num_heads", num_heads)
        _ranges(num_buckets, max_distance, bidirectional)
        self.num_buckets, self.max_distance, self.bidirectional = num_buckets, max_distance, bidirectional
        self.table = nn.Parameter(torch.randn(num_buckets, num_heads))

    def extra_repr(self) -> str:
        """Show what the state dict does not hold."""
        return (
            f"{self.table.shape[1]}, num_buckets={self.num_buckets}, max_distance={self.max_distance}, "
            f"bidirectional={self.bidirectional}"
        )

    def on_scores(
        self, q: Queries, k: Keys, query_positions: Positions, key_positions: Positions
    ) -> Float[Tensor, "... query key"]:
        """Return the bias b(m − n) in the dtype of q.

        Parameters
        ----------
        q, k
            Queries and keys, `(..., heads, seq, dim)`; their content does not matter.
        query_positions, key_positions
            Integers `(query,)` and `(key,)`, or with the leading axes of q and k, of which each may be 1: positions
            `(batch, 1, seq)` differ between sequences and not between heads.

        Returns
        -------
        Tensor
            `(heads, query, key)`, or `(..., heads, query, key)` for positions with leading axes.

        Raises
        ------
        TypeError, ValueError
            If positions are not integers, or q, k and the positions do not fit each other or the table.
        """
        heads, reach = self.table.shape[1], self.max_distance
        if q.shape[-3:-2] != (heads,):
            raise ValueError(f"q must be (..., {heads} heads, seq, dim), got shape {tuple(q.shape)}")
        expect.same_device(q=q, query_positions=query_positions, key_positions=key_positions, table=self.table)
        index = distances(query_positions, key_positions).clamp(-reach, reach) + reach
        index = index.expand(*index.shape[:-3], heads, -1, -1)
        # One number per distance and head, and only then one per pair of tokens.
        by_distance = self._by_distance().to(q.dtype)
        return by_distance[:, None].expand(*index.shape[:-1], -1).gather(-1, index)

    def _by_distance(self) -> Float[Tensor, "heads distance"]:
        """Return the bias at the distances −max_distance … max_distance: it is constant on either side of them."""
        distance = torch.arange(-self.max_distance, self.max_distance + 1, device=self.table.device)
        rows = bucket(
            distance,
            num_buckets=self.num_buckets,
            max_distance=self.max_distance,
            bidirectional=self.bidirectional,
        )
        return self.table[rows].T


def _ranges(num_buckets: int, max_distance: int, bidirectional: bool) -> tuple[int, int]:
    """Return how many distances of one direction have a bucket each, and how many buckets that direction has."""
    expect.boolean("bidirectional", bidirectional)
    expect.natural("num_buckets", num_buckets, least=4 if bidirectional else 2)
    if bidirectional:
        expect.even("num_buckets", num_buckets)
    one_way = num_buckets // 2 if bidirectional else num_buckets
    exact = one_way // 2
    expect.natural("max_distance", max_distance, least=exact + 1)
    if max_distance > 2**24:
        raise ValueError(f"max_distance must be at most 2**24, as far as float32 counts, got {max_distance}")
    return exact, one_way
