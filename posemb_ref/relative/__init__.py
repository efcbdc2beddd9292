"""Encodings that reach the scores: terms that depend on the distance between query and key."""
