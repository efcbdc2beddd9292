"""The position pattern of an encoding: its scores over query and key position, with the same content everywhere."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray
from torch import Tensor

from posemb_ref.attention import Encoding


def position_pattern(
    encoding: Encoding, q: Float[Tensor, " dim"], k: Float[Tensor, " dim"], *, length: int
) -> Float[ndarray, "length length"]:
    """Return the scores of the token q asking and the token k answering, at every pair of positions below `length`.

    Whatever differs between two entries is the work of the positions.
    """
    positions = torch.arange(length, device=q.device)
    asking = encoding.at_input(q.expand(1, length, -1), positions)
    answering = encoding.at_input(k.expand(1, length, -1), positions)
    return encoding.scores(asking, answering, positions, positions)[0].detach().cpu().numpy()


def show_patterns(patterns: Mapping[str, Float[ndarray, "query key"]]) -> Figure:
    """Draw position patterns side by side: one colour scale for all, zero in the middle of it.

    Parameters
    ----------
    patterns
        Matrices over query position (down) and key position (across), by title. NaN entries stay blank.
    """
    limit = max(np.nanmax(np.abs(pattern)) for pattern in patterns.values()) or 1.0
    columns = min(len(patterns), 2)  # a phone shows no more
    rows = -(-len(patterns) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(2.4 * columns + 0.9, 2.6 * rows), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, pattern) in zip(axes.flat, patterns.items(), strict=False):
        ax.set_axis_on()
        image = ax.imshow(pattern, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        ax.set(title=title, xlabel="key position $n$", ylabel="query position $m$")
        ax.grid(False)
        ax.label_outer()
    fig.colorbar(image, ax=axes, label="score", shrink=0.8)
    return fig
