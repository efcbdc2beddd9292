"""Transformer-XL: relative positions in the keys, and two global biases in the place of the query's own position.

The score of a query q at position m and a key k at position n is (q + u)·k + (q + v)·r_{m−n}. The key of a distance,
r = W_R p̃, is a projection of a fixed vector of that distance, a sinusoid in the paper. No position reaches the values.

Source: Dai et al. (2019), "Transformer-XL: Attentive language models beyond a fixed-length context", section 3.3.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from posemb_ref import expect
from posemb_ref.attention import Encoding, Keys, Positions, Queries, Scores, Tokens, scaled
from posemb_ref.distance import distances, shift


def scores(
    q: Queries,
    k: Keys,
    distance_keys: Float[Tensor, "*#batch distance dim"],
    content_bias: Float[Tensor, "*#batch dim"],
    position_bias: Float[Tensor, "*#batch dim"],
) -> Scores:
    """Return (q + u)·k + (q + v)·r_{m−n}, unscaled (Dai et al., section 3.3 and appendix B).

    The keys begin with the memory, and the last query stands where the last key does: query row i is at position
    `keys − queries + i`, key j at position j.

    Parameters
    ----------
    q, k
        Queries `(..., query, dim)` and keys `(..., key, dim)` with equal leading axes, and no more queries than keys.
    distance_keys
        r, `(..., query + key − 1, dim)`, with distances ascending: row t belongs to t − (queries − 1). Leading
        axes broadcast to those of q.
    content_bias, position_bias
        u and v, `(dim,)` or `(heads, dim)`: their leading axes broadcast to those of q.

    Returns
    -------
    Tensor
        `(..., query, key)`. Multiply by 1/√dim before the softmax. Keys after their query have true scores too.

    Raises
    ------
    TypeError, ValueError
        If a tensor is not floating point, or the shapes do not fit.
    """
    _expect_scores(q, k, distance_keys, content_bias, position_bias)
    content = (q + content_bias[..., None, :]) @ k.mT
    by_distance = (q + position_bias[..., None, :]) @ distance_keys.mT
    return content + shift(by_distance)


class TransformerXL(Encoding):
    """The four terms of Transformer-XL: u enters at the second door, all that depends on the distance at the third.

    Parameters
    ----------
    dim
        Of queries and keys.
    distance_vectors
        Maps whole distances m − n `(count,)`, negative ones for keys that come after the query, to their vectors p̃
        `(count, width)`: `sinusoidal` with its `dim`, for one.
    width
        Of these vectors; `dim` when None. The paper's is the width of the model.
    num_heads
        None: one set of parameters for every leading axis of q. Otherwise one for each head, and q is
        `(..., num_heads, query, dim)`.

    Attributes
    ----------
    content_bias, position_bias
        u and v, `(dim,)` or `(num_heads, dim)`.
    position_projection
        W_R, called W_{k,R} in the paper: `(dim, width)` or `(num_heads, dim, width)`.

    Notes
    -----
    Source: (Dai et al., section 3.3). All parameters start from a normal distribution with standard deviation 0.02, as
    in the authors' code, which also has the factor 1/√dim that the paper leaves out.
    """

    def __init__(
        self,
        dim: int,
        distance_vectors: Callable[[Tensor], Tensor],
        *,
        width: int | None = None,
        num_heads: int | None = None,
    ) -> None:
        super().__init__()
        expect.natural("dim", dim)
        width = dim if width is None else width
        expect.natural("width", width)
        if num_heads is not None:
            expect.natural("num_heads", num_heads)
        if not callable(distance_vectors):
            raise TypeError(f"distance_vectors must be a function of distances, got {distance_vectors!r}")
        heads = () if num_heads is None else (num_heads,)
        self.distance_vectors = distance_vectors
        self.content_bias = nn.Parameter(torch.empty(*heads, dim))
        self.position_bias = nn.Parameter(torch.empty(*heads, dim))
        self.position_projection = nn.Parameter(torch.empty(*heads, dim, width))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.02)

    def distance_keys(self, distance: Integer[Tensor, " count"]) -> Float[Tensor, "*heads count dim"]:
        """Return r = W_R p̃ for each distance: for those from 1 − queries up to keys − 1, what `scores` needs."""
        expect.integers("distance", distance)
        vectors = self.distance_vectors(distance)
        expect.floating("the vectors of the distances", vectors)
        wanted = (*distance.shape, self.position_projection.shape[-1])
        if vectors.shape != wanted:
            raise ValueError(
                f"distance_vectors must return vectors of shape {wanted} for distances of shape "
                f"{tuple(distance.shape)}, got {tuple(vectors.shape)}"
            )
        return vectors.to(self.position_projection) @ self.position_projection.mT

    def extra_repr(self) -> str:
        """Show what the state dict does not hold."""
        *heads, dim, width = self.position_projection.shape
        return f"{dim}, width={width}" + (f", num_heads={heads[0]}" if heads else "")

    def on_query(self, q: Tokens, positions: Positions) -> Tokens:
        """Return q + u: with the keys it makes the two content terms."""
        return q + self._bias("content_bias", q)

    def on_scores(self, q: Queries, k: Keys, query_positions: Positions, key_positions: Positions) -> Scores:
        """Return (q + v)·r_{m−n}, scaled as the inner products are."""
        asking = q + self._bias("position_bias", q)
        distance = distances(query_positions, key_positions)
        # Each distance is encoded once: contiguous positions have queries + keys − 1 of them, not queries · keys.
        distinct, column = distance.unique(return_inverse=True)
        keys = self.distance_keys(distinct).to(q.dtype)
        by_distance = scaled(asking, self.scale) @ keys.mT
        return by_distance.gather(-1, column.expand(*by_distance.shape[:-1], column.shape[-1]))

    def _bias(self, name: str, q: Tensor) -> Tensor:
        expect.floating("q", q, min_rank=2)
        bias = getattr(self, name)[..., None, :]
        expect.same_device(q=q, **{name: bias})
        if q.shape[-1] != bias.shape[-1]:
            raise ValueError(f"q must have {bias.shape[-1]} columns, got shape {tuple(q.shape)}")
        expect.broadcasts_to(f"{name}, with an axis for the queries of q,", bias.shape, q.shape)
        return bias.to(q.dtype)


def _expect_scores(q: Tensor, k: Tensor, distance_keys: Tensor, content_bias: Tensor, position_bias: Tensor) -> None:
    tensors = {"q": q, "k": k, "distance_keys": distance_keys}
    biases = {"content_bias": content_bias, "position_bias": position_bias}
    for name, value in tensors.items():
        expect.floating(name, value, min_rank=2)
    for name, value in biases.items():
        expect.floating(name, value, min_rank=1)
    expect.same_device(**tensors, **biases)
    for name, value in (*tensors.items(), *biases.items()):
        if value.dtype != q.dtype:
            raise TypeError(f"{name} must have the dtype of q, {q.dtype}, got {value.dtype}")
    queries, keys, dim = q.shape[-2], k.shape[-2], q.shape[-1]
    if k.shape != (*q.shape[:-2], keys, dim) or not 0 < queries <= keys:
        raise ValueError(
            f"k must have the leading axes and the columns of q and at least as many rows, got q {tuple(q.shape)} and "
            f"k {tuple(k.shape)}"
        )
    if distance_keys.shape[-2:] != (queries + keys - 1, dim):
        raise ValueError(
            f"distance_keys must have {queries + keys - 1} rows, one for each distance, and {dim} columns, "
            f"got shape {tuple(distance_keys.shape)}"
        )
    expect.broadcasts_to("distance_keys", distance_keys.shape, (*q.shape[:-2], queries + keys - 1, dim))
    for name, value in biases.items():
        if value.shape[-1] != dim:
            raise ValueError(f"{name} must have {dim} columns, got shape {tuple(value.shape)}")
        expect.broadcasts_to(name, value.shape, (*q.shape[:-2], dim))
