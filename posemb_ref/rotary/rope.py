"""Rotary position embedding: `frequencies → tables → rotate`.

Each pair of dimensions is turned by an angle proportional to its position, so that a score
(R_m q)⊤(R_n k) = q⊤ R_{n−m} k depends on the two positions only through m − n.

Source: Su et al. (2021), "RoFormer: Enhanced transformer with rotary position embedding", section 3.
Equation numbers below are those of arXiv:2104.09864v5.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from posemb_ref import expect
from posemb_ref.attention import Encoding, Positions, Tokens
from posemb_ref.clocks import angles, frequencies, tables

__all__ = ["LAYOUTS", "Rotary", "frequencies", "rotate", "rotation_matrix", "tables"]
LAYOUTS = ("interleaved", "half")


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
    cos, sin = cos.to(work), sin.to(work)
    if torch.compiler.is_compiling():
        return _turn(x, cos, sin, layout)
    turn = _turn_interleaved if layout == "interleaved" else _turn_half
    return turn(x, cos, sin).to(x.dtype)


def _turn(x: Tensor, cos: Tensor, sin: Tensor, layout: str) -> Tensor:
    """Return (a cos − b sin, b cos + a sin) as it stands: one kernel when compiled, several when not."""
    members, shape = (-1, (-1, 2)) if layout == "interleaved" else (-2, (2, -1))
    a, b = (member.to(cos.dtype) for member in x.unflatten(-1, shape).unbind(members))
    turned = (a * cos - b * sin).to(x.dtype), (b * cos + a * sin).to(x.dtype)
    return torch.stack(turned, dim=members).flatten(-2)


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
    at = torch.tensor(float(position), dtype=torch.float64)
    angle = angles(at, frequencies(dim, base=base), of="position and base")
    cos, sin = angle.cos(), angle.sin()
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
    frequencies
        In the place of `dim` and `base`: any θ in radians per position, float64, `(pairs,)`; or `(pairs, axes)`, and
        then positions are `(..., seq, axes)`.
    attention_factor
        On the rotated dimensions of queries and of keys; the scores have its square.
    """

    def __init__(
        self,
        dim: int | None = None,
        *,
        base: float = 10000.0,
        layout: str = "interleaved",
        frequencies: Float[Tensor, "pairs *axes"] | None = None,
        attention_factor: float = 1.0,
    ) -> None:
        super().__init__()
        expect.choice("layout", layout, LAYOUTS)
        expect.positive("attention_factor", attention_factor)
        self.frequencies = _chosen(dim, base, frequencies)
        self.layout, self.attention_factor = layout, attention_factor
        self.axes = self.frequencies.shape[1] if self.frequencies.ndim == 2 else None

    def extra_repr(self) -> str:
        """Show what the state dict does not hold."""
        first, last = self.frequencies[0], self.frequencies[-1]
        span = f"{first:.4g} … {last:.4g}" if self.axes is None else f"{len(self.frequencies)} pairs, {self.axes} axes"
        factor = "" if self.attention_factor == 1 else f", attention_factor={self.attention_factor:.4g}"
        return f"{2 * len(self.frequencies)}, frequencies={span}, layout={self.layout!r}{factor}"

    def on_query(self, q: Tokens, positions: Positions) -> Tokens:
        """Return R_m q."""
        return self._turn("q", q, positions)

    def on_key(self, k: Tokens, positions: Positions) -> Tokens:
        """Return R_n k: the same map as for queries."""
        return self._turn("k", k, positions)

    def _turn(self, name: str, x: Tensor, positions: Tensor) -> Tensor:
        expect.floating(name, x, min_rank=2)
        if x.shape[-1] < 2 * len(self.frequencies):
            raise ValueError(f"{name} must have {2 * len(self.frequencies)} columns, got shape {tuple(x.shape)}")
        expect.per_row("positions", positions, x.shape[:-1], self.axes)
        cos, sin = tables(positions, self.frequencies, dtype=torch.promote_types(x.dtype, torch.float32))
        return rotate(x, cos * self.attention_factor, sin * self.attention_factor, layout=self.layout)

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Let the frequencies follow the module to another device, and never to another dtype."""
        super()._apply(function, recurse)
        device = function(torch.empty(0, device=self.frequencies.device)).device
        if device.type != "meta":  # what is made there is filled in later from a checkpoint, and this stands in none
            self.frequencies = self.frequencies.to(device)
        return self


def _chosen(dim: int | None, base: float, given: Tensor | None) -> Float64[Tensor, "pairs *axes"]:
    """Return the frequencies as a plain attribute keeps them: real numbers, even in a model made on the meta device."""
    if (dim is None) == (given is None):
        raise TypeError(f"dim or frequencies must be given, and not both, got dim {dim!r} and frequencies {given!r}")
    if given is None:
        return frequencies(dim, base=base, device="cpu")
    expect.exact("frequencies", given)
    if given.ndim not in (1, 2) or 0 in given.shape:
        raise ValueError(f"frequencies must be (pairs,) or (pairs, axes), got shape {tuple(given.shape)}")
    expect.all_finite("frequencies", given)
    return given.detach().double()


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
