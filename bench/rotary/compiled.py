"""Compare `rotate` compiled with `rotate` as it stands, forward and backward, in one interleaved run: `make bench`.

`python -m bench.rotary.compiled > bench/rotary/compiled.txt` records a run, on the device that POSEMB_DEVICE names. The
compiler needs a C++ compiler, or Triton on a GPU.

What counts is how often the numbers travel: a copy of x reads and writes each once, and no rotation can do with less.
"""

import functools
import statistics
import time
import warnings

import torch

from bench.rotary.rope import cpu
from posemb_ref.lesson.device import lesson_device
from posemb_ref.rotary.rope import LAYOUTS, frequencies, rotate, tables

DEVICE = lesson_device()
SIZES = {"cpu": [(1, 16, 2048, 128)], "cuda": [(4, 32, 8192, 128), (1, 32, 4096, 128), (1, 32, 1, 128)]}
ROUNDS = 30
SHORT = 5e-3  # seconds that one measurement takes at least


def synchronised():
    """Wait until the device has done what it was asked for, and return the time."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(call, repeats):
    start = synchronised()
    for _ in range(repeats):
        call()
    return (synchronised() - start) / repeats


def there_and_back(turn, x, cos, sin):
    """Return the call that rotates x and brings a gradient back."""
    x = x.clone().requires_grad_()
    return lambda: torch.autograd.grad(turn(x, cos, sin).sum(), x)


def measure(size, dtype, layout):
    """Return the median time of each call, taken in turn."""
    x = torch.randn(size, device=DEVICE).to(dtype)
    cos, sin = tables(torch.arange(size[-2], device=DEVICE), frequencies(size[-1], device=DEVICE))
    eager = functools.partial(rotate, layout=layout)
    torch.compiler.reset()
    compiled = torch.compile(eager, fullgraph=True, dynamic=False)
    calls = {
        "copy": x.clone,
        "eager": lambda: eager(x, cos, sin),
        "compiled": lambda: compiled(x, cos, sin),
        "eager, back": there_and_back(eager, x, cos, sin),
        "compiled, back": there_and_back(compiled, x, cos, sin),
    }
    repeats = {name: max(1, round(SHORT / min(timed(call, 1) for _ in range(3)))) for name, call in calls.items()}
    rounds = [{name: timed(call, repeats[name]) for name, call in calls.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(one[name] for one in rounds) for name in calls}, 2 * x.nbytes


def main():
    torch.manual_seed(0)
    device = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"{cpu()}, {torch.get_num_threads()} threads"
    print(f"{device}, torch {torch.__version__}")
    print("times of the copy of x, and how fast the copy reads and writes; the last two with the gradient\n")
    print(f"{'size':20}{'dtype':9}{'layout':12}{'GB/s':>6}{'eager':>7}{'compiled':>9}{'eager':>8}{'compiled':>9}")
    for size in SIZES[DEVICE.type]:
        for dtype in (torch.float32, torch.bfloat16):
            for layout in LAYOUTS:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the compiler's own
                    seconds, moved = measure(size, dtype, layout)
                copy = seconds.pop("copy")
                eager, compiled, eager_back, compiled_back = (one / copy for one in seconds.values())
                print(
                    f"{str(size):20}{str(dtype)[6:]:9}{layout:12}{moved / copy / 1e9:6.0f}"
                    f"{eager:7.2f}{compiled:9.2f}{eager_back:8.2f}{compiled_back:9.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
