"""Every encoding of the book, by name: what comparisons, laws and tests run over."""

import functools

from posemb_ref.absolute.learned import LearnedEncoding
from posemb_ref.absolute.sinusoidal import sinusoidal
from posemb_ref.attention import Absolute, Encoding
from posemb_ref.relative.deberta import DeBERTa
from posemb_ref.relative.shaw import Shaw
from posemb_ref.relative.t5 import T5
from posemb_ref.relative.transformer_xl import TransformerXL
from posemb_ref.rotary.rope import Rotary


def encodings(dim: int, *, max_positions: int = 512, max_distance: int = 64) -> dict[str, Encoding]:
    """Return one encoding of each kind, for one head.

    Parameters
    ----------
    dim
        Of the head, and of the token vectors; positive and even.
    max_positions
        Rows of the table of absolute positions.
    max_distance
        Where the tables of relative positions stop telling distances apart.

    Returns
    -------
    dict
        Encodings by name, in the order of the book, each with fresh parameters.

    Raises
    ------
    TypeError, ValueError
        As the encodings themselves.
    """
    sinusoids = functools.partial(sinusoidal, dim=dim)
    return {
        "none": Encoding(),
        "learned": Absolute(LearnedEncoding(max_positions, dim)),
        "sinusoidal": Absolute(sinusoids),
        "Shaw": Shaw(dim, max_distance=max_distance),
        "Transformer-XL": TransformerXL(dim, sinusoids),
        "T5": T5(1, max_distance=max_distance),
        "DeBERTa": DeBERTa(dim, span=max_distance),
        "RoPE": Rotary(dim),
    }
