"""Verified reference implementations of positional encodings for attention."""

from posemb_ref import distance, laws
from posemb_ref.attention import Absolute, Encoding, attention
from posemb_ref.rotary import rope

__all__ = ["Absolute", "Encoding", "attention", "distance", "laws", "rope"]
