"""Absolute encodings: each position has a vector of its own, added to the token at the input."""
