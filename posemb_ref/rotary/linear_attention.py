"""Rotary linear attention: RoPE without the matrix of scores.

With the similarity φ(q)⊤φ(k) in the place of exp(q⊤k), the sums over keys are done once for all queries. A rotation of
φ(q) and φ(k) changes nothing in that, since it too acts on one row at a time.

Source: Su et al. (2021), section 3.3, eq. (19); Katharopoulos et al. (2020), eqs. (4)–(7) and (16)–(20).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from posemb_ref import expect
from posemb_ref.rotary.rope import rotate

CHUNK = 64  # rows that are compared all at once in the causal form


def linear_attention(
    q: Float[Tensor, "*batch query dim"],
    k: Float[Tensor, "*batch key dim"],
    v: Float[Tensor, "*batch key value"],
    *,
    rotation: tuple[Float[Tensor, "..."], Float[Tensor, "..."]] | None = None,
    causal: bool = False,
) -> Float[Tensor, "*batch query value"]:
    """Return Σ_n (R_m φ(q_m))⊤(R_n φ(k_n)) v_n / Σ_n φ(q_m)⊤φ(k_n) with φ = elu + 1 (RoFormer, eq. 19).

    Time and memory grow as the number of rows. The denominator is not rotated, so it stays positive; but the weights
    need not sum to 1, and some are negative.

    Parameters
    ----------
    q, k, v
        Queries `(..., query, dim)`, keys `(..., key, dim)` and values `(..., key, value)`, with equal leading axes.
    rotation
        The pair `(cos, sin)` of `rope.tables` for the positions of the rows, `(..., seq, pairs)`, interleaved; None for
        attention without positions. Query and key rows then share their positions, and are as many.
    causal
        Let query row i see key rows 0 to i; there are as many queries as keys.

    Returns
    -------
    Tensor
        `(..., query, value)`, of the dtype of v. Half-precision input is summed in float32 and rounded once;
        what the type cannot hold, since the weights may be large, becomes infinite.

    Raises
    ------
    TypeError, ValueError
        If a tensor is not floating point, shapes or dtypes do not match, a sum overflows, or every feature of a query
        underflows, so that there is nothing to divide by.
    """
    expect.boolean("causal", causal)
    _expect_rows(q, k, v, equal=causal or rotation is not None)
    work = torch.promote_types(v.dtype, torch.float32)
    queries, keys, values = _features(q.to(work)), _features(k.to(work)), v.to(work)
    total = keys.cumsum(-2) if causal else keys.sum(-2, keepdim=True)
    denominator = (queries * total).sum(-1, keepdim=True)
    expect.all_finite("the sum over q and k", denominator)
    if expect.readable(denominator) and not (denominator > 0).all():
        raise ValueError("q and k must leave every query something to divide by, got features that underflow to 0")
    if rotation is not None:
        _expect_pair(rotation)
        queries, keys = rotate(queries, *rotation), rotate(keys, *rotation)
    numerator = _causal_sum(queries, keys, values) if causal else queries @ (keys.mT @ values)
    expect.all_finite("the sum over q, k and v", numerator)
    return (numerator / denominator).to(v.dtype)


def _causal_sum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return Σ_{n ≤ m} (q_m⊤k_n) v_n: in a chunk of rows by its scores, from earlier chunks by their summed state."""
    rows = q.shape[-2]
    q, k, v = (pad(x, (0, 0, 0, -rows % CHUNK)).unflatten(-2, (-1, CHUNK)) for x in (q, k, v))
    # The sum of what came before, and not of all less the last: a large future would wipe out the past's digits.
    earlier = pad((k.mT @ v)[..., :-1, :, :], (0, 0, 0, 0, 1, 0)).cumsum(-3)
    return (q @ earlier + (q @ k.mT).tril() @ v).flatten(-3, -2)[..., :rows, :]


def _features(x: Tensor) -> Tensor:
    """φ(x) = elu(x) + 1, without the cancellation of adding 1 to what is nearly −1."""
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


def _expect_pair(rotation: object) -> None:
    if not isinstance(rotation, tuple | list) or len(rotation) != 2:
        raise TypeError(f"rotation must be the pair (cos, sin), got {type(rotation).__name__}")


def _expect_rows(q: Tensor, k: Tensor, v: Tensor, *, equal: bool) -> None:
    expect.attention(q, k, v)
    for name, value in (("q", q), ("k", k), ("v", v)):
        expect.all_finite(name, value)
    if equal and q.shape[-2] != k.shape[-2]:
        raise ValueError(
            f"q and k must have as many rows for a causal or rotary attention, "
            f"got q {tuple(q.shape)} and k {tuple(k.shape)}"
        )
