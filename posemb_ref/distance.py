"""Distances between queries and keys, and tables by distance turned into tables by key.

The distance is r = m − n, query position less key position: positive when the key lies in the past.
"""

from jaxtyping import Float, Int, Integer
from torch import Tensor
from torch.nn.functional import pad

from posemb_ref import expect


def distances(
    query_positions: Integer[Tensor, "*#batch query"], key_positions: Integer[Tensor, "*#batch key"]
) -> Int[Tensor, "*batch query key"]:
    """Return r = m − n for every query position m and key position n.

    Parameters
    ----------
    query_positions, key_positions
        Whole numbers below 2**62 in size, `(..., query)` and `(..., key)`, in any order and with any gaps.

    Returns
    -------
    Tensor
        int64, `(..., query, key)`.

    Raises
    ------
    TypeError, ValueError
        If one of them is not a tensor of such integers with at least one axis, or their leading axes do not broadcast.
    """
    expect.integers("query_positions", query_positions, min_rank=1)
    expect.integers("key_positions", key_positions, min_rank=1)
    expect.subtractable("query_positions", query_positions)
    expect.subtractable("key_positions", key_positions)
    expect.same_device(query_positions=query_positions, key_positions=key_positions)
    expect.broadcast(query_positions=query_positions, key_positions=key_positions)
    return query_positions.long()[..., :, None] - key_positions.long()[..., None, :]


def shift(by_distance: Float[Tensor, "*batch query distance"]) -> Float[Tensor, "*batch query key"]:
    """Turn scores by distance into scores by key: out[i, j] = by_distance[i, (i − j) + (keys − 1)].

    The last query row and the last key stand at one position, and so column t of the input belongs to the distance
    t − (queries − 1). This is the skewing of the Music Transformer and the relative shift of Transformer-XL, with both
    directions kept: no entry of the result is garbage.

    Parameters
    ----------
    by_distance
        `(..., queries, queries + keys − 1)`, distances ascending.

    Returns
    -------
    Tensor
        `(..., queries, keys)`.

    Raises
    ------
    TypeError, ValueError
        If the input is not floating point, or has fewer columns than rows.

    Notes
    -----
    Source: Huang et al. (2018), section 3.4.1; Dai et al. (2019), appendix B.
    """
    expect.floating("by_distance", by_distance, min_rank=2)
    queries, columns = by_distance.shape[-2:]
    if not 0 < queries <= columns:
        raise ValueError(
            "by_distance must have one to as many rows as columns (queries, queries + keys − 1), "
            f"got shape {tuple(by_distance.shape)}"
        )
    # One more column makes each row start one entry earlier than the row above it.
    padded = pad(by_distance.flip(-1), (1, 0)).flatten(-2)
    return padded[..., queries:].unflatten(-1, (queries, columns))[..., : columns - queries + 1]
