"""Rotary encodings: a position turns queries and keys."""
