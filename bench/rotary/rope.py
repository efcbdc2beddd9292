"""Compare `rotate`, with prepared tables, to three others in one interleaved run: `make bench`.

`python -m bench.rotary.rope > bench/rotary/rope.txt` records a run for the lesson on layouts.

Machines differ and are busy, so only ratios within one run mean anything; each is the median over rounds.
"""

import platform
import statistics
import time
from pathlib import Path

import torch

from posemb_ref.rotary.rope import LAYOUTS, frequencies, rotate, tables

SIZES = [(4, 16, 2048, 128), (1, 8, 256, 64), (1, 32, 1, 128)]
START = 1000  # the first position
SECONDS = 1.5  # per size, layout and dtype


def llama(x, cos, sin):
    """Apply transformers' Llama form to one tensor, with tables as wide as x and of its dtype."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


def complex_product(x, turns):
    """Multiply pairs, as complex float32 numbers, by e^{imθ}."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)


def contenders(x, layout):
    """Return what is timed, by name, each with its tables ready."""
    exact = tables(START + torch.arange(x.shape[-2]), frequencies(x.shape[-1]), dtype=torch.float64)
    cos, sin = (table.float() for table in exact)
    wide = [torch.cat((table, table), dim=-1).to(x.dtype) for table in exact]
    turns = torch.complex(cos, sin)
    return {
        "rotate": lambda: rotate(x, cos, sin, layout=layout),
        "llama": lambda: llama(x, *wide),
        "complex": lambda: complex_product(x, turns),
        "clone": lambda: x.clone(),
    }


def timed(call, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return time.perf_counter() - start


def measure(calls):
    """Time the calls in turn, round after round; return each one's times."""
    repeats = max(1, round(0.005 / timed(calls["llama"], 3) * 3))
    times = {name: [] for name in calls}
    stop = time.perf_counter() + SECONDS
    while time.perf_counter() < stop or len(times["clone"]) < 5:
        for name, call in calls.items():
            times[name].append(timed(call, repeats))
    return times


def ratio(times, name, to):
    return statistics.median(a / b for a, b in zip(times[name], times[to], strict=True))


def error(result, x, layout):
    """Return the root mean square error against float64."""
    cos, sin = tables(START + torch.arange(x.shape[-2]), frequencies(x.shape[-1]), dtype=torch.float64)
    return (result.double() - rotate(x.double(), cos, sin, layout=layout)).square().mean().sqrt().item()


def target(size, layout, dtype):
    """Return the most that rotate may take, in Llama's times."""
    if size[-2] == 1:
        return 1.5
    if dtype == torch.float32:
        return 0.5 if size == SIZES[0] else None
    return {"interleaved": 1.1, "half": 1.3}[layout]


def cpu():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


@torch.no_grad()
def main():
    torch.manual_seed(0)
    print(f"{cpu()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("time of rotate in times of the Llama form and of x.clone();")
    print("time of the complex product in times of the Llama form;")
    print("rms errors of rotate and of the Llama form\n")
    print(
        f"{'size':19}{'dtype':9}{'layout':12}{'/llama':>6}{'target':>7}{'/clone':>7}{'complex':>9}"
        f"{'error':>9}{'of llama':>9}"
    )
    for size in SIZES:
        for dtype in (torch.float32, torch.bfloat16):
            x = torch.randn(size).to(dtype)
            for layout in LAYOUTS:
                calls = contenders(x, layout)
                own, other = error(calls["rotate"](), x, layout), error(calls["llama"](), x, "half")
                times = measure(calls)
                limit = target(size, layout, dtype)
                print(
                    f"{str(size):19}{str(dtype)[6:]:9}{layout:12}{ratio(times, 'rotate', 'llama'):6.2f}"
                    f"{f'≤ {limit}' if limit else '':>7}{ratio(times, 'rotate', 'clone'):7.2f}"
                    f"{ratio(times, 'complex', 'llama'):9.2f}{own:9.1e}{other:9.1e}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
