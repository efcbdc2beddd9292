"""The exercises of "RoPE far away": each planted bug is rejected for the right reason."""

# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("count_to", "one bit less", ("2**bits", "2**(bits - 1)"), "agreement fails"),
    ("count_to", "one too few", ("2**bits", "2**bits - 1"), "agreement fails"),
    ("count_to", "one bit more", ("2**bits", "2**(bits + 1)"), "agreement fails"),
    ("positions_from", "starts at one", (" - 1", ""), "agreement fails"),
    ("positions_from", "negative for padding", (".clamp(min=0)", ""), "expected 0, found -1"),
    ("positions_from", "along the batch", ("cumsum(-1)", "cumsum(0)"), "agreement fails"),
    ("positions_from", "counts padding", ("mask.cumsum", "(0 * mask + 1).cumsum"), "agreement fails"),
    ("slide", "moved the other way", ("-drop", "drop"), "agreement fails"),
    ("slide", "not moved", ("-drop", "0"), "agreement fails"),
    ("slide", "one too few dropped", ("keys[drop:]", "keys[drop - 1 :]"), "agreement"),
    ("slide", "each by its own position", ("torch.full((len(left),), -drop)", "torch.arange(len(left))"), "agreement fails"),
    ("slide", "the wrong base", ("Rotary(keys.shape[-1])", "Rotary(keys.shape[-1], base=100.0)"), "agreement fails"),
]  # fmt: skip
