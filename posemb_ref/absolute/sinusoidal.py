"""Sinusoidal position vectors: a position as a clock with d/2 hands, each shown by its sine and its cosine.

The vector at position m + k is the one at position m turned by a matrix that depends on k alone, so that the inner
product of two position vectors depends on m − n only. Nothing is learned, and no position is the last.

Source: Vaswani et al. (2017), "Attention is all you need", section 3.5.
"""

import torch
from jaxtyping import Float, Real
from torch import Tensor

from posemb_ref import expect
from posemb_ref.clocks import frequencies, tables

LAYOUTS = ("interleaved", "concatenated")


def sinusoidal(
    positions: Real[Tensor, "*positions"],
    dim: int,
    *,
    base: float = 10000.0,
    layout: str = "interleaved",
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "*positions dim"]:
    """Return sin m·θ_i and cos m·θ_i with θ_i = base^(−2i/dim), i = 0 … dim/2 − 1 (Vaswani et al., section 3.5).

    Parameters
    ----------
    positions
        m, any shape; integers, float32 or float64. Offsets, gaps and negative positions are welcome.
    dim
        Length of each vector; positive and even.
    base
        Greater than 0. The paper's is 10000.
    layout
        "interleaved": pair i is the dimensions 2i and 2i + 1 (the paper).
        "concatenated": pair i is the dimensions i and i + dim/2, all sines before all cosines.
    dtype
        Of the result. The angles are float64 whatever it is: only the finished sines and cosines are rounded.

    Returns
    -------
    Tensor
        `(*positions.shape, dim)`, on the device of `positions`. Every vector has length √(dim/2).

    Raises
    ------
    TypeError
        If `positions` come in half precision, which cannot hold them, or an argument has the wrong type.
    ValueError
        If `dim` is not positive and even, `base` not positive and finite, an angle not finite, or the layout unknown.

    Examples
    --------
    `Absolute(functools.partial(sinusoidal, dim=512))` adds these vectors at the input of attention.
    """
    expect.exact("positions", positions)
    expect.choice("layout", layout, LAYOUTS)
    expect.floating_dtype("dtype", dtype)
    cos, sin = tables(positions, frequencies(dim, base=base, device=positions.device), dtype=dtype)
    if layout == "interleaved":
        return torch.stack((sin, cos), dim=-1).flatten(-2)
    return torch.cat((sin, cos), dim=-1)
