"""Clocks: the hands that sinusoids and rotations share. Hand i of position m stands at the angle m·θ_i.

Source: Vaswani et al. (2017), "Attention is all you need", section 3.5; Su et al. (2021), "RoFormer: Enhanced
transformer with rotary position embedding", section 3.2.2.
"""

import torch
from jaxtyping import Float, Float64, Real
from torch import Tensor

from posemb_ref import expect


def frequencies(
    dim: int, *, base: float = 10000.0, device: torch.device | str | None = None
) -> Float64[Tensor, " pairs"]:
    """Return θ_i = base^(−2i/dim) for i = 0 … dim/2 − 1, in radians per position (RoFormer, section 3.2.2).

    Parameters
    ----------
    dim
        Number of dimensions, two for each hand; positive and even.
    base
        Greater than 0. The papers' is 10000.
    device
        Where they lie; on the default device when None, and on the CPU where that device has no float64.

    Returns
    -------
    Tensor
        float64, shape `(dim/2,)`, fastest first.

    Raises
    ------
    TypeError, ValueError
        If `dim` is not a positive even int or `base` not a positive finite number, or a frequency is not finite.
    """
    expect.even("dim", dim)
    expect.positive("base", base)
    pair = torch.arange(dim // 2, dtype=torch.float64, device=_with_float64(device))
    theta = float(base) ** (-2 * pair / dim)
    expect.all_finite("the frequencies of base", theta)
    return theta


def tables(
    positions: Real[Tensor, "..."],
    frequencies: Float[Tensor, "pairs *axes"],
    *,
    dtype: torch.dtype = torch.float32,
) -> tuple[Float[Tensor, "*positions pairs"], Float[Tensor, "*positions pairs"]]:
    """Return the cosine and the sine of every angle m·θ_i.

    Parameters
    ----------
    positions
        m, any shape; integers, float32 or float64. Offsets, gaps and negative positions are welcome. Where a position
        has several coordinates, as in an image, they are the last axis, `(..., axes)`.
    frequencies
        θ, `(pairs,)`, in radians per position; `(pairs, axes)` for several coordinates, and then m·θ_i is the inner
        product of the position with row i.
    dtype
        Of the two tables. The angles are float64 whatever it is: only the finished cosine and sine are rounded.

    Returns
    -------
    (cos, sin)
        Each `(..., pairs)`, one row per position, on the device of `positions`.

    Raises
    ------
    TypeError
        If `positions` or `frequencies` come in half precision, which cannot hold them, or `dtype` is not floating.
    ValueError
        If `frequencies` has neither one axis nor a column for each coordinate, or an angle would not be finite.
    """
    expect.floating_dtype("dtype", dtype)
    angle = angles(positions, frequencies)
    return tuple(hand.to(dtype).to(positions.device) for hand in (angle.cos(), angle.sin()))


def angles(
    positions: Real[Tensor, "..."],
    frequencies: Float[Tensor, "pairs *axes"],
    *,
    of: str = "positions and frequencies",
) -> Float64[Tensor, "*positions pairs"]:
    """Return every angle m·θ_i in radians: arguments and errors as in `tables`, which say whose angle is not finite.

    The angles are float64, and on the CPU where the device of `positions` has no float64.
    """
    expect.exact("positions", positions)
    expect.exact("frequencies", frequencies)
    if frequencies.ndim not in (1, 2):
        raise ValueError(f"frequencies must be (pairs,) or (pairs, axes), got shape {tuple(frequencies.shape)}")
    expect.all_finite("positions", positions)
    expect.all_finite("frequencies", frequencies)
    device = _with_float64(positions.device)
    positions, frequencies = positions.to(device).double(), frequencies.to(device).double()
    if frequencies.ndim == 1:
        angles = positions[..., None] * frequencies
    else:
        expect.coordinates("positions", positions, frequencies.shape[1])
        angles = positions @ frequencies.mT
    expect.all_finite(f"the angles of {of}", angles)
    return angles


def _with_float64(device: torch.device | str | None) -> torch.device | str | None:
    """Return the device, or the CPU in the place of one that has no float64."""
    return "cpu" if device is not None and torch.device(device).type == "mps" else device
