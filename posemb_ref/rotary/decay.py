"""The bound behind "long-term decay": summation by parts of a rotary score.

It bounds every score, and for most queries and keys it lies far above the trivial bound Σ|h_i|. The lesson of the same
name shows what decays, and what does not.

Source: Su et al. (2021), section 3.4.3, eqs. (35)–(37).
"""

import torch
from jaxtyping import Float, Float64, Real
from torch import Tensor
from torch.nn.functional import pad

from posemb_ref import expect
from posemb_ref.clocks import angles, frequencies


def abel_bound(
    q: Float[Tensor, "*batch dim"],
    k: Float[Tensor, "*batch dim"],
    distance: Real[Tensor, "*distances"],
    *,
    base: float = 10000.0,
) -> Float64[Tensor, "..."]:
    """Return max_i |h_{i+1} − h_i| · Σ_j |S_j(r)|, which |(R_m q)⊤(R_n k)| does not exceed (RoFormer, eq. 37).

    Here h_i = q_i k_i* are the pairs of q and k as complex numbers, h_{d/2} = 0, and S_j(r) is the sum of the first j
    of the numbers e^{i r θ_i}, for j = 1 … d/2.

    Parameters
    ----------
    q, k
        Vectors `(..., dim)` in the interleaved layout, before any rotation.
    distance
        r = m − n, any shape; integers, float32 or float64. The bound does not depend on its sign.
    base
        As in `rope.frequencies`.

    Returns
    -------
    Tensor
        float64, `(*batch, *distances)`.

    Raises
    ------
    TypeError, ValueError
        If q and k are not floating-point tensors of one shape with an even last axis, or an angle is not finite.
    """
    _expect_vectors(q, k)
    expect.exact("distance", distance)
    expect.all_finite("distance", distance)
    expect.same_device(q=q, k=k, distance=distance)
    h = _pairs(q) * _pairs(k).conj()
    steps = pad(h, (0, 1)).diff(dim=-1).abs().amax(-1)
    angle = angles(distance, frequencies(q.shape[-1], base=base, device=q.device), of="distance and base")
    sums = torch.complex(angle.cos(), angle.sin()).cumsum(-1).abs().sum(-1)
    return steps.reshape(steps.shape + (1,) * sums.ndim) * sums


def _pairs(x: Tensor) -> Tensor:
    return torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())


def _expect_vectors(q: Tensor, k: Tensor) -> None:
    for name, value in (("q", q), ("k", k)):
        expect.floating(name, value, min_rank=1)
        expect.all_finite(name, value)
    if q.shape != k.shape:
        raise ValueError(f"q and k must have one shape, got {tuple(q.shape)} and {tuple(k.shape)}")
    if q.shape[-1] == 0 or q.shape[-1] % 2:
        raise ValueError(f"q must have a positive even last axis, got shape {tuple(q.shape)}")
