"""Rotary position embedding: `frequencies → tables → rotate`.

Each pair of dimensions is turned by an angle proportional to its position, so that a score
(R_m q)⊤(R_n k) = q⊤ R_{n−m} k depends on the two positions only through m − n.

Source: Su et al. (2021), "RoFormer: Enhanced transformer with rotary position embedding", section 3.
Equation numbers below are those of arXiv:2104.09864v5.
"""

import torch
from jaxtyping import Float, Float64, Real
from torch import Tensor

from posemb_ref import expect
from posemb_ref.attention import Encoding

LAYOUTS = ("interleaved", "half")


def frequencies(dim: int, *, base: float = 10000.0) -> Float64[Tensor, " pairs"]:
    """Return θ_i = base^(−2i/dim) for i = 0 … dim/2 − 1, in radians per position (RoFormer, section 3.2.2).

    Parameters
    ----------
    dim
        Number of dimensions to rotate; positive and even.
    base
        Greater than 0. The paper's is 10000.

    Returns
    -------
    Tensor
        float64, shape `(dim/2,)`, fastest pair first.

    Raises
    ------
    TypeError, ValueError
        If `dim` is not a positive even int or `base` not a positive finite number, or a frequency is not finite.
    """
    expect.even("dim", dim)
    expect.positive("base", base)
    pair = torch.arange(dim // 2, dtype=torch.float64)
    theta = float(base) ** (-2 * pair / dim)
    if base < 1:  # otherwise no frequency exceeds 1
        expect.all_finite("the frequencies of base", theta)
    return theta


def tables(
    positions: Real[Tensor, "*positions"],
    frequencies: Float[Tensor, " pairs"],
    *,
    dtype: torch.dtype = torch.float32,
) -> tuple[Float[Tensor, "*positions pairs"], Float[Tensor, "*positions pairs"]]:
    """Return the cosine and the sine of every angle m·θ_i.

    Parameters
    ----------
    positions
        Any shape; integers, float32 or float64. Offsets, gaps and negative positions are welcome.
    frequencies
        θ, shape `(pairs,)`, in radians per position.
    dtype
        Of the two tables. The angles are float64 whatever it is: only the finished cosine and sine are rounded.

    Returns
    -------
    (cos, sin)
        Each `(*positions.shape, pairs)`, on the device of `positions`.

    Raises
    ------
    TypeError
        If `positions` or `frequencies` come in half precision, which cannot hold them, or `dtype` is not floating.
    ValueError
        If `frequencies` has not exactly one axis, or an angle would not be finite.
    """
    expect.exact("positions", positions)
    expect.exact("frequencies", frequencies)
    expect.floating_dtype("dtype", dtype)
    if frequencies.ndim != 1:
        raise ValueError(f"frequencies must have one axis, got shape {tuple(frequencies.shape)}")
    expect.all_finite("positions", positions)
    expect.all_finite("frequencies", frequencies)
    angles = positions.double()[..., None] * frequencies.double().to(positions.device)
    if (frequencies.abs() > 1).any():  # otherwise no angle exceeds its position
        expect.all_finite("the angles of positions and frequencies", angles)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(
    x: Float[Tensor, "*batch seq dim"],
    cos: Float[Tensor, "*#batch seq pairs"],
    sin: Float[Tensor, "*#batch seq pairs"],
    *,
    layout: str = "interleaved",
) -> Float[Tensor, "*batch seq dim"]:
    """Turn each pair (a, b) of x into (a cos − b sin, b cos + a sin) (RoFormer, eq. 34).

    Parameters
    ----------
    x
        Queries or keys, `(..., seq, dim)`. The first `2 * pairs` dimensions turn, the rest pass unchanged.
    cos, sin
        Tables `(..., seq, pairs)`, one row per row of x; they broadcast over its leading axes.
    layout
        "interleaved": pair i is dimensions 2i and 2i + 1 (the paper, GPT-J).
        "half": pair i is dimensions i and i + pairs (GPT-NeoX; Llama in `transformers`, while Meta's own code is
        interleaved).

    Returns
    -------
    Tensor
        Shape, dtype and device of x. Half-precision input is rotated in float32 and rounded once.

    Raises
    ------
    TypeError, ValueError
        If a tensor is not floating point, the tables do not fit x, or the layout is unknown.
    """
    _expect_rotate(x, cos, sin, layout)
    width = 2 * cos.shape[-1]
    if width < x.shape[-1]:
        return torch.cat((rotate(x[..., :width], cos, sin, layout=layout), x[..., width:]), dim=-1)
    work = torch.promote_types(torch.promote_types(x.dtype, cos.dtype), torch.float32)
    turn = _turn_interleaved if layout == "interleaved" else _turn_half
    return turn(x, cos.to(work), sin.to(work)).to(x.dtype)


def _turn_interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Neighbours (a, b) are the complex number a + ib; a complex product turns a fresh copy of x in place."""
    turned = x.to(cos.dtype, copy=True, memory_format=torch.contiguous_format)
    torch.view_as_complex(turned.unflatten(-1, (-1, 2))).mul_(torch.complex(cos, sin))
    return turned


def _turn_half(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Put x cos everywhere, then the sine terms added in place, one half of the dimensions after the other."""
    x, pairs = x.to(cos.dtype), cos.shape[-1]
    a, b = x.chunk(2, dim=-1)
    turned = x * torch.cat((cos, cos), dim=-1)
    turned[..., :pairs].addcmul_(b, sin, value=-1)
    turned[..., pairs:].addcmul_(a, sin)
    return turned


def rotation_matrix(position: int | float, dim: int, *, base: float = 10000.0) -> Float64[Tensor, "dim dim"]:
    """Return the block-diagonal R_m for one position m (RoFormer, eq. 15).

    Parameters
    ----------
    position
        m, any finite number.
    dim, base
        As in `frequencies`.

    Returns
    -------
    Tensor
        float64, `(dim, dim)`, interleaved: block i turns dimensions 2i and 2i + 1 counter-clockwise by m·θ_i.

    Raises
    ------
    TypeError, ValueError
        If `position` or an angle is not a finite number, or as in `frequencies`.
    """
    expect.finite("position", position)
    angles = float(position) * frequencies(dim, base=base)
    expect.all_finite("the angles of position and base", angles)
    cos, sin = angles.cos(), angles.sin()
    blocks = torch.stack((cos, -sin, sin, cos), dim=-1).unflatten(-1, (2, 2))
    return torch.block_diag(*blocks)


class Rotary(Encoding):
    """RoPE as an encoding: it opens the second door, on queries and keys alike.

    Parameters
    ----------
    dim
        Number of dimensions to rotate; a head may be wider, and the rest then passes unchanged.
    base, layout
        As in `frequencies` and `rotate`.
    """

    def __init__(self, dim: int, *, base: float = 10000.0, layout: str = "interleaved") -> None:
        super().__init__()
        expect.choice("layout", layout, LAYOUTS)
        # A plain attribute: a registered buffer would be rounded by `.to(torch.bfloat16)`. And real numbers, even in a
        # model that is made on the meta device: no checkpoint brings them later.
        with torch.device("cpu"):
            self.frequencies = frequencies(dim, base=base)
        self.base, self.layout = base, layout

    def extra_repr(self) -> str:
        """Show what the state dict does not hold."""
        return f"{2 * len(self.frequencies)}, base={self.base}, layout={self.layout!r}"

    def on_query(
        self, q: Float[Tensor, "*batch seq dim"], positions: Real[Tensor, "*#batch seq"]
    ) -> Float[Tensor, "*batch seq dim"]:
        """Return R_m q."""
        return self._turn("q", q, positions)

    def on_key(
        self, k: Float[Tensor, "*batch seq dim"], positions: Real[Tensor, "*#batch seq"]
    ) -> Float[Tensor, "*batch seq dim"]:
        """Return R_n k: the same map as for queries."""
        return self._turn("k", k, positions)

    def _turn(self, name: str, x: Tensor, positions: Tensor) -> Tensor:
        expect.floating(name, x, min_rank=2)
        if x.shape[-1] < 2 * len(self.frequencies):
            raise ValueError(f"{name} must have {2 * len(self.frequencies)} columns, got shape {tuple(x.shape)}")
        expect.per_row("positions", positions, x.shape[:-1])
        cos, sin = tables(positions, self.frequencies, dtype=torch.promote_types(x.dtype, torch.float32))
        return rotate(x, cos, sin, layout=self.layout)


def _expect_rotate(x: Tensor, cos: Tensor, sin: Tensor, layout: str) -> None:
    expect.choice("layout", layout, LAYOUTS)
    expect.floating("x", x, min_rank=2)
    expect.floating("cos", cos, min_rank=2)
    expect.floating("sin", sin, min_rank=2)
    expect.same_device(x=x, cos=cos, sin=sin)
    shape, table = x.shape, cos.shape
    if table != sin.shape or cos.dtype != sin.dtype:
        raise ValueError(f"cos and sin must match, got {tuple(table)} {cos.dtype} and {tuple(sin.shape)} {sin.dtype}")
    if not 0 < 2 * table[-1] <= shape[-1]:
        raise ValueError(f"cos must have 1 to {shape[-1] // 2} columns for x {tuple(shape)}, got {table[-1]}")
    if table[-2] != shape[-2]:
        raise ValueError(f"cos must have one row per row of x, got {table[-2]} rows for x {tuple(shape)}")
    if len(table) > 2:
        expect.broadcasts_to("cos without its last axis", table[:-1], shape[:-1])
