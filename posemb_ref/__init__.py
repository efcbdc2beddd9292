"""Verified reference implementations of positional encodings for attention.

The modules are in the book's parts, absolute, relative and rotary. What carries a name of its own can be imported from
here; names that several methods share, such as `bucket` and `scores`, belong to their modules: `t5.bucket`.
"""

from posemb_ref import distance, laws
from posemb_ref.absolute.learned import LearnedEncoding
from posemb_ref.absolute.sinusoidal import sinusoidal
from posemb_ref.attention import Absolute, Encoding
from posemb_ref.relative import deberta, shaw, t5, transformer_xl
from posemb_ref.relative.deberta import DeBERTa, disentangled_scores
from posemb_ref.relative.shaw import Shaw, clip_distance, shaw_attention
from posemb_ref.relative.t5 import T5
from posemb_ref.relative.transformer_xl import TransformerXL
from posemb_ref.rotary import decay, layout, rope
from posemb_ref.rotary.decay import abel_bound
from posemb_ref.rotary.layout import to_half, to_interleaved
from posemb_ref.rotary.linear_attention import linear_attention
from posemb_ref.rotary.rope import Rotary, frequencies, rotate, rotation_matrix, tables

__all__ = [
    "T5",
    "Absolute",
    "DeBERTa",
    "Encoding",
    "LearnedEncoding",
    "Rotary",
    "Shaw",
    "TransformerXL",
    "abel_bound",
    "clip_distance",
    "deberta",
    "decay",
    "disentangled_scores",
    "distance",
    "frequencies",
    "laws",
    "layout",
    "linear_attention",
    "rope",
    "rotate",
    "rotation_matrix",
    "shaw",
    "shaw_attention",
    "sinusoidal",
    "t5",
    "tables",
    "to_half",
    "to_interleaved",
    "transformer_xl",
]
