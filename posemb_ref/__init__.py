"""Verified reference implementations of positional encodings for attention."""

from posemb_ref import laws
from posemb_ref.attention import Encoding, attention
from posemb_ref.rotary import rope

__all__ = ["Encoding", "attention", "laws", "rope"]
