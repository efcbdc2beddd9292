"""How the time of attention grows with length, softmax against linear, in one interleaved run: `make bench`.

`python -m bench.rotary.linear_attention > bench/rotary/linear_attention.txt` records a run for the lesson. The slope is
that of log time against log length: 1 is linear, 2 is quadratic.
"""

import math
import statistics
import time

import torch

from posemb_ref.attention import attention
from posemb_ref.rotary.linear_attention import linear_attention
from posemb_ref.rotary.rope import frequencies, tables

LENGTHS = (512, 1024, 2048, 4096)
ROUNDS = 5


def contenders(length):
    """Return what is timed, by name: one head of 64 dimensions."""
    q, k, v = torch.randn(3, length, 64)
    rotation = tables(torch.arange(length), frequencies(64))
    return {
        "softmax": lambda: attention(q, k, v),
        "linear": lambda: linear_attention(q, k, v, rotation=rotation),
        "linear, causal": lambda: linear_attention(q, k, v, rotation=rotation, causal=True),
    }


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def slope(times):
    """Fit log time = slope · log length + constant."""
    return statistics.linear_regression([math.log(length) for length in LENGTHS], [math.log(t) for t in times]).slope


@torch.no_grad()
def main():
    torch.manual_seed(0)
    calls = {length: contenders(length) for length in LENGTHS}
    names = list(calls[LENGTHS[0]])
    times = {(name, length): [] for name in names for length in LENGTHS}
    for _ in range(ROUNDS + 1):
        for length in LENGTHS:
            for name in names:
                times[name, length].append(timed(calls[length][name]))
    median = {key: statistics.median(values[1:]) for key, values in times.items()}  # the first round warms up
    print("time of attention, in times of softmax attention at length 512, and the slope of log time on log length\n")
    print(f"{'length':16}" + "".join(f"{length:>8}" for length in LENGTHS) + f"{'slope':>8}")
    for name in names:
        row = [median[name, length] for length in LENGTHS]
        cells = "".join(f"{t / median['softmax', LENGTHS[0]]:8.1f}" for t in row)
        print(f"{name:16}{cells}{slope(row):8.2f}")


if __name__ == "__main__":
    main()
