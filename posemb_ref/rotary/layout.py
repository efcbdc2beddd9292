"""From one pair layout to the other: the same rotation with the dimensions listed in another order.

With Π listing the first members of all pairs and then the second ones, R_half = Π R_interleaved Π⊤. A score does not
notice a reordering that query and key share, so a trained model is converted by applying Π to the rows of its query and
key projections, head by head.

Source: Su et al. (2021), section 3.4.2 (interleaved); Black et al. (2022), section 2.1 (half).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from posemb_ref import expect


def to_half(
    weight: Float[Tensor, "rows ..."], num_heads: int, *, rotary_dim: int | None = None
) -> Float[Tensor, "rows ..."]:
    """Reorder the rows of a query or key projection from the interleaved to the half layout.

    Parameters
    ----------
    weight
        `(num_heads * dim, in)`, or a bias `(num_heads * dim,)`, with the rows of one head together.
    num_heads
        Of this projection: with grouped queries a key has fewer heads than a query.
    rotary_dim
        How many dimensions of each head turn; all when None. The rows of the others stay where they are.

    Returns
    -------
    Tensor
        The same rows, reordered: row i of a head is row 2i, and row i + rotary_dim/2 is row 2i + 1.

    Raises
    ------
    TypeError, ValueError
        If `weight` is not floating point, its rows do not divide into heads of an even dimension, or `rotary_dim` is
        odd or larger than a head.
    """
    return _reorder(weight, num_heads, rotary_dim, pairs_first=True)


def to_interleaved(
    weight: Float[Tensor, "rows ..."], num_heads: int, *, rotary_dim: int | None = None
) -> Float[Tensor, "rows ..."]:
    """Reorder the rows of a query or key projection from the half to the interleaved layout: undo `to_half`.

    Parameters
    ----------
    weight, num_heads, rotary_dim
        As in `to_half`.

    Returns
    -------
    Tensor
        The same rows, reordered: row 2i of a head is row i, and row 2i + 1 is row i + rotary_dim/2.

    Raises
    ------
    TypeError, ValueError
        As in `to_half`.
    """
    return _reorder(weight, num_heads, rotary_dim, pairs_first=False)


def _reorder(weight: Tensor, num_heads: int, rotary_dim: int | None, *, pairs_first: bool) -> Tensor:
    """Read the turning rows of each head as a table of pairs by members, or members by pairs, and transpose it."""
    width = _expect_heads(weight, num_heads, rotary_dim)
    heads = weight.unflatten(0, (num_heads, -1))
    table = (-1, 2) if pairs_first else (2, -1)
    turning = heads[:, :width].unflatten(1, table).transpose(1, 2).flatten(1, 2)
    return torch.cat((turning, heads[:, width:]), dim=1).flatten(0, 1)


def _expect_heads(weight: Tensor, num_heads: int, rotary_dim: int | None) -> int:
    expect.floating("weight", weight, min_rank=1)
    expect.natural("num_heads", num_heads)
    rows = weight.shape[0]
    if rows == 0 or rows % (2 * num_heads):
        raise ValueError(f"weight must have rows for num_heads={num_heads} heads of an even dimension, got {rows} rows")
    if rotary_dim is None:
        return rows // num_heads
    expect.even("rotary_dim", rotary_dim)
    if rotary_dim > rows // num_heads:
        raise ValueError(f"rotary_dim must be at most the head's {rows // num_heads} dimensions, got {rotary_dim}")
    return rotary_dim
