"""Learned positions: a table with one row for each position, filled by training like any other parameter.

Source: Devlin et al. (2019), "BERT: Pre-training of deep bidirectional transformers for language understanding",
section 3 and figure 2. The table itself is older: Gehring et al. (2017), "Convolutional sequence to sequence learning".
"""

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from posemb_ref import expect


class LearnedEncoding(nn.Module):
    """A table of position vectors. `Absolute(LearnedEncoding(…))` adds them to the tokens.

    Rows start as independent normal numbers of mean 0 and standard deviation 0.02, as in BERT's released code.

    Parameters
    ----------
    max_positions
        Number of rows: positions 0 … max_positions − 1 have a vector, no others.
    dim
        Length of a vector; that of the token vectors.

    Attributes
    ----------
    table
        The parameter, `(max_positions, dim)`: row m is p_m.

    Raises
    ------
    TypeError, ValueError
        If one of the two is not a positive int.
    """

    def __init__(self, max_positions: int, dim: int) -> None:
        super().__init__()
        expect.natural("max_positions", max_positions)
        expect.natural("dim", dim)
        self.table = nn.Parameter(torch.empty(max_positions, dim))
        nn.init.normal_(self.table, std=0.02)

    def extra_repr(self) -> str:
        """Show what the state dict does not hold."""
        return f"{len(self.table)}, {self.table.shape[1]}"

    def forward(self, positions: Integer[Tensor, "*positions"]) -> Float[Tensor, "*positions dim"]:
        """Return the row of each position.

        Parameters
        ----------
        positions
            Whole numbers from 0 to max_positions − 1, any shape, on the device of the table.

        Returns
        -------
        Tensor
            `(*positions.shape, dim)`, in the dtype of the table.

        Raises
        ------
        IndexError
            If a position has no row. A negative one has none: it does not count from the end, as it would in Python.
        TypeError, ValueError
            If `positions` are not integers, or lie on another device than the table.
        """
        expect.integers("positions", positions)
        expect.same_device(positions=positions, table=self.table)
        positions = positions.long()  # uint8 would be read as a mask, not as numbers
        outside = (positions < 0) | (positions >= len(self.table))
        if expect.readable(positions) and outside.any():
            raise IndexError(
                f"positions must lie in the table of {len(self.table)} rows, 0 to {len(self.table) - 1}, "
                f"got {positions[outside][0].item()}"
            )
        return nn.functional.embedding(positions, self.table)  # which reads no negative row, not even on a GPU
