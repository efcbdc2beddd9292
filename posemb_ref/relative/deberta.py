"""DeBERTa: content and relative position in vectors of their own, and three inner products in one score.

The score of a query q at position m and a key k at position n is q·k + q·K[δ(m, n)] + k·Q[δ(n, m)], over √(3d): what
the two words say to each other, what the query's word says to the place of the key, and what the key's word says to the
place of the query. δ is a row of the two tables Q and K of projected relative positions.

Source: He et al. (2021), "DeBERTa: Decoding-enhanced BERT with disentangled attention", section 3.1. The logarithmic
buckets stand only in the released code of DeBERTa-v2.
"""

import math

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor, nn

from posemb_ref import expect
from posemb_ref.attention import Encoding, Keys, Positions, Queries, Scores, scaled
from posemb_ref.distance import distances

P2C = ("paper", "released")


def bucket(
    distance: Integer[Tensor, "*shape"], *, num_buckets: int | None, max_position: int | None
) -> Int64[Tensor, "*shape"]:
    """Return DeBERTa-v2's logarithmic bucket of each distance r = m − n: a signed number, and not yet a row.

    With b = ⌊num_buckets/2⌋, a distance |r| ≤ b is its own bucket. A larger one has the bucket
    sign(r) · (b + ⌈log(|r|/b) / log((max_position − 1)/b) · (b − 1)⌉).

    Parameters
    ----------
    distance
        Query position less key position. Any shape, any integer dtype.
    num_buckets
        2 or more: the distances below max_position have buckets from 1 − num_buckets to num_buckets − 1 (for an odd
        number, one fewer at each end). None, 0 or less turns the buckets off, as −1 does in the released code and as
        they are in DeBERTa-v1: the distance is returned as it is.
    max_position
        More than b + 1. Distances from here on have larger buckets still, which `relative_index` clips. Not looked at
        when the buckets are off.

    Returns
    -------
    Tensor
        int64, of the shape and on the device of `distance`; bucket(−r) = −bucket(r).

    Raises
    ------
    TypeError, ValueError
        If `distance` is not a tensor of integers, or the two numbers leave no room for a logarithm.
    """
    expect.integers("distance", distance)
    distance, middle = distance.long(), _middle(num_buckets, max_position)
    if middle is None:
        return distance.clone()
    size = distance.clamp(min=-torch.iinfo(torch.int64).max).abs()  # int64 holds no |−2⁶³|
    # The released code's float32 operations in their order: checkpoints were trained with these roundings.
    last = torch.full((), (max_position - 1) / middle, dtype=torch.float32, device=distance.device).log()
    steps = torch.ceil(torch.log(size.clamp(min=middle).float() / middle) / last * (middle - 1))
    return torch.where(size <= middle, distance, distance.sign() * (middle + steps.long()))


def relative_index(distance: Integer[Tensor, "*shape"], *, span: int) -> Int64[Tensor, "*shape"]:
    """Return δ, the row for each distance r = m − n: clip(r, −span, span − 1) + span (DeBERTa, eq. 3).

    Parameters
    ----------
    distance
        Query position less key position, or its bucket. Any shape, any integer dtype.
    span
        k in the paper: half the number of rows. Row 2·span − 1 is that of span − 1 and of everything beyond, row 0 that
        of −span and everything beyond.

    Returns
    -------
    Tensor
        int64, of the shape and on the device of `distance`, from 0 to 2·span − 1.

    Raises
    ------
    TypeError, ValueError
        If `distance` is not a tensor of integers or `span` not a positive int.
    """
    expect.integers("distance", distance)
    expect.natural("span", span)
    return distance.long().clamp(-span, span - 1) + span


def disentangled_scores(
    q: Queries,
    k: Keys,
    position_q: Float[Tensor, "*#batch rows dim"],
    position_k: Float[Tensor, "*#batch rows dim"],
    index: Integer[Tensor, "*#batch query key"],
    *,
    p2c: str = "paper",
    reversed_index: Integer[Tensor, "*#batch query key"] | None = None,
) -> Scores:
    """Return (q·k + q·K[δ(m, n)] + k·Q[δ(n, m)]) / √(3·dim) for every pair (DeBERTa, eq. 4).

    Parameters
    ----------
    q, k
        Queries `(..., query, dim)` and keys `(..., key, dim)`, with equal leading axes and one dtype.
    position_q, position_k
        The tables Q and K, `(2·span, dim)`; leading axes, if any, broadcast to those of q.
    index
        index[m, n] = δ(m, n), `(query, key)` or with leading axes that broadcast to those of q.
    p2c
        The row of Q in position-to-content. "paper": δ(n, m), as in eq. 4. "released": δ(m, n) once more, which is what
        Microsoft's code and `transformers` compute, and what the released weights need.
    reversed_index
        reversed_index[m, n] = δ(n, m), of the shape of index. None: queries and keys stand at the same positions in the
        same order, so that index is square and δ(n, m) is index[n, m]. From index alone it cannot be told otherwise,
        since its last row stands for distances of which δ(n, m) differs. Not looked at when p2c is "released".

    Returns
    -------
    Tensor
        `(..., query, key)`.

    Raises
    ------
    TypeError, ValueError
        If a tensor has the wrong type, the shapes do not fit, or `p2c` is unknown.
    IndexError
        If an index is not a row of the tables.
    """
    expect.choice("p2c", p2c, P2C)
    _expect_vectors(q, k, position_q, position_k)
    _expect_index("index", index, q, k, position_q)
    if p2c == "released":
        reversed_index = index
    elif reversed_index is None:
        if q.shape[-2] != k.shape[-2]:
            raise ValueError(
                f"reversed_index must be given unless queries and keys stand at the same positions, "
                f"got q {tuple(q.shape)} and k {tuple(k.shape)}"
            )
        reversed_index = index.mT
    _expect_index("reversed_index", reversed_index, q, k, position_q)
    scale = 1 / math.sqrt(3 * q.shape[-1])
    q, position_q = scaled(q, scale), scaled(position_q, scale)
    return q @ k.mT + _position_terms(q, k, position_q, position_k, index, reversed_index)


class DeBERTa(Encoding):
    """Disentangled attention as an encoding: at the third door, it adds the two terms in which position meets content.

    Parameters
    ----------
    dim
        Of queries and keys.
    span
        k in the paper: half the number of rows of each table.
    num_buckets, max_position
        As in `bucket`; by default the buckets are off, as in DeBERTa-v1. DeBERTa-v2 and v3 have `num_buckets` = `span`.
    p2c
        As in `disentangled_scores`.

    Attributes
    ----------
    position_q, position_k
        Parameters `(2·span, dim)`, one row for each δ and shared by all leading axes of q. Standard normal at first,
        the variance that the scale takes for granted.
    scale
        1/√(3·dim), for the inner products of queries and keys as for the two terms.

    Notes
    -----
    Source: (DeBERTa, section 3.1). There the two tables are projections, one for each head, of one table that all
    layers share.
    """

    def __init__(
        self,
        dim: int,
        *,
        span: int,
        num_buckets: int | None = None,
        max_position: int | None = None,
        p2c: str = "paper",
    ) -> None:
        super().__init__()
        expect.natural("dim", dim)
        expect.natural("span", span)
        expect.choice("p2c", p2c, P2C)
        _middle(num_buckets, max_position)
        self.span, self.num_buckets, self.max_position, self.p2c = span, num_buckets, max_position, p2c
        self.scale = 1 / math.sqrt(3 * dim)
        self.position_q = nn.Parameter(torch.randn(2 * span, dim))
        self.position_k = nn.Parameter(torch.randn(2 * span, dim))

    def extra_repr(self) -> str:
        """Show what the state dict does not hold."""
        buckets = (
            "" if self.num_buckets is None else f", num_buckets={self.num_buckets}, max_position={self.max_position}"
        )
        return f"{self.position_q.shape[1]}, span={self.span}{buckets}, p2c={self.p2c!r}"

    def on_scores(self, q: Queries, k: Keys, query_positions: Positions, key_positions: Positions) -> Scores:
        """Return content-to-position + position-to-content, scaled.

        Parameters
        ----------
        q, k
            Queries `(..., query, dim)` and keys `(..., key, dim)`.
        query_positions, key_positions
            Whole numbers `(query,)` and `(key,)`, in any order and with any gaps, or with all leading axes of q, of
            which each may be 1.

        Returns
        -------
        Tensor
            `(..., query, key)`, in the dtype of q.

        Raises
        ------
        TypeError, ValueError
            If positions are not integers, or q, k and the positions do not fit each other or the tables.
        """
        position_q, position_k = self.position_q.to(q.dtype), self.position_k.to(q.dtype)
        _expect_vectors(q, k, position_q, position_k)
        expect.same_device(q=q, query_positions=query_positions, key_positions=key_positions)
        distance = distances(query_positions, key_positions)
        distance = bucket(distance, num_buckets=self.num_buckets, max_position=self.max_position)
        index = relative_index(distance, span=self.span)
        reversed_index = index if self.p2c == "released" else relative_index(-distance, span=self.span)
        q, position_q = scaled(q, self.scale), scaled(position_q, self.scale)
        return _position_terms(q, k, position_q, position_k, index, reversed_index)


def _position_terms(
    q: Tensor, k: Tensor, position_q: Tensor, position_k: Tensor, index: Tensor, reversed_index: Tensor
) -> Tensor:
    """Let each token meet each row of its table once; every pair picks one number of its query and one of its key."""
    pairs = (*q.shape[:-1], k.shape[-2])
    content_to_position = (q @ position_k.mT).gather(-1, index.long().expand(pairs))
    position_to_content = (position_q @ k.mT).gather(-2, reversed_index.long().expand(pairs))
    return content_to_position + position_to_content


def _middle(num_buckets: int | None, max_position: int | None) -> int | None:
    """Return up to which size a distance is its own bucket; None when the buckets are off."""
    if num_buckets is None:
        return None
    expect.integer("num_buckets", num_buckets)
    if num_buckets <= 0:
        return None
    expect.natural("num_buckets", num_buckets, least=2)
    middle = num_buckets // 2
    expect.natural("max_position", max_position, least=middle + 2)
    return middle


def _expect_vectors(q: Tensor, k: Tensor, position_q: Tensor, position_k: Tensor) -> None:
    tensors = {"q": q, "k": k, "position_q": position_q, "position_k": position_k}
    for name, value in tensors.items():
        expect.floating(name, value, min_rank=2)
        if value.dtype != q.dtype:
            raise TypeError(f"{name} must have the dtype of q, {q.dtype}, got {value.dtype}")
        if value.shape[-1] != q.shape[-1] or q.shape[-1] == 0:
            raise ValueError(f"{name} must have as many columns as q, at least 1, got {expect.shapes(tensors)}")
    expect.same_device(**tensors)
    if q.shape[:-2] != k.shape[:-2]:
        raise ValueError(f"k must have the leading axes of q, got {expect.shapes(tensors)}")
    rows = position_q.shape[-2]
    if rows == 0 or rows % 2:
        raise ValueError(f"position_q must have 2·span rows, an even number, got {expect.shapes(tensors)}")
    for name in ("position_q", "position_k"):
        if tensors[name].shape[-2] != rows:
            raise ValueError(f"{name} must have as many rows as position_q, got {expect.shapes(tensors)}")
        expect.broadcasts_to(f"{name} without its last two axes", tensors[name].shape[:-2], q.shape[:-2])


def _expect_index(name: str, index: Tensor, q: Tensor, k: Tensor, table: Tensor) -> None:
    expect.integers(name, index, min_rank=2)
    expect.same_device(q=q, **{name: index})
    pairs = (*q.shape[:-1], k.shape[-2])
    if index.shape[-2:] != pairs[-2:]:
        raise ValueError(f"{name} must be (query, key), here {pairs[-2:]}, got shape {tuple(index.shape)}")
    expect.broadcasts_to(name, index.shape, pairs)
    outside = (index < 0) | (index >= table.shape[-2])
    if expect.readable(index) and outside.any():
        raise IndexError(
            f"{name} must be from 0 to {table.shape[-2] - 1}, a row of the tables, got {index[outside][0].item()}"
        )
