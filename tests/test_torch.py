"""PyTorch as people use it: every public function compiles and exports as one graph, and works without its values."""

import copy
import functools
import shutil
import warnings

import pytest
import torch

from posemb_ref.absolute.learned import LearnedEncoding
from posemb_ref.absolute.sinusoidal import sinusoidal
from posemb_ref.attention import Absolute, attention
from posemb_ref.clocks import tables
from posemb_ref.distance import distances, shift
from posemb_ref.lesson.device import lesson_device
from posemb_ref.relative import deberta, shaw, t5, transformer_xl
from posemb_ref.rotary.decay import abel_bound
from posemb_ref.rotary.layout import to_half, to_interleaved
from posemb_ref.rotary.linear_attention import linear_attention
from posemb_ref.rotary.rope import LAYOUTS, Rotary, rotate


def floats(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


HEADS, SEQ, DIM = 2, 5, 4
q, k, v = (floats(HEADS, SEQ, DIM, seed=seed) for seed in range(3))
at, theta = torch.arange(SEQ) + 3, floats(DIM // 2).abs()
cos, sin = tables(at, theta, dtype=torch.float64)
by_distance, key_table, value_table = floats(HEADS, SEQ, 2 * SEQ - 1), floats(5, DIM), floats(5, DIM, seed=1)
distance_keys, bias = floats(2 * SEQ - 1, DIM), floats(DIM)
position_q, position_k = floats(6, DIM), floats(6, DIM, seed=1)
index = deberta.relative_index(distances(at, at), span=3)

encoded = {
    "Rotary": Rotary(DIM),
    "Shaw": shaw.Shaw(DIM, max_distance=2),
    "T5": t5.T5(HEADS),
    "TransformerXL": transformer_xl.TransformerXL(DIM, functools.partial(sinusoidal, dim=DIM)),
    "DeBERTa": deberta.DeBERTa(DIM, span=3),
}
for module in encoded.values():
    module.double().requires_grad_(False)
absolute = Absolute(functools.partial(sinusoidal, dim=DIM))
learned = LearnedEncoding(20, DIM).double().requires_grad_(False)


class Attend(torch.nn.Module):
    """Causal attention of tokens at one list of positions."""

    def __init__(self, encoding):
        super().__init__()
        self.encoding = encoding

    def forward(self, q, k, v, at):
        return self.encoding(q, k, v, at, at, causal=True)


# What is called, with which tensors. Only floating-point ones are differentiated.
CALLS = {
    "attention": (lambda q, k, v, bias: attention(q, k, v, bias=bias, causal=True), (q, k, v, floats(SEQ, SEQ))),
    "distances": (distances, (at, at)),
    "shift": (shift, (by_distance,)),
    "tables": (lambda at, theta: torch.stack(tables(at, theta, dtype=torch.float64)), (at, theta)),
    "tables, two axes": (
        lambda at, theta: torch.stack(tables(at, theta, dtype=torch.float64)),
        (torch.stack((at, at), dim=-1), floats(3, 2)),
    ),
    "sinusoidal": (lambda at: sinusoidal(at, DIM), (at,)),
    "LearnedEncoding": (learned, (at,)),
    "Absolute": (lambda x, at: absolute.at_input(x, at), (q, at)),
    "rotate, interleaved": (rotate, (q, cos, sin)),
    "rotate, half": (lambda *tensors: rotate(*tensors, layout="half"), (q, cos, sin)),
    "rotate, a part": (rotate, (q, cos[:, :1], sin[:, :1])),
    "to_half": (lambda weight: to_half(weight, 2), (floats(8, 3),)),
    "to_interleaved": (lambda weight: to_interleaved(weight, 2), (floats(8, 3),)),
    "abel_bound": (abel_bound, (floats(DIM), floats(DIM, seed=1), at)),
    "linear_attention": (lambda q, k, v: linear_attention(q, k, v, causal=True), (q, k, v)),
    "clip_distance": (lambda r: shaw.clip_distance(r, -2, 2), (at - 5,)),
    "shaw_attention": (
        lambda *tensors: shaw.shaw_attention(*tensors, max_distance=2),
        (q, k, v, key_table, value_table),
    ),
    "t5.bucket": (t5.bucket, (at - 5,)),
    "transformer_xl.scores": (transformer_xl.scores, (q, k, distance_keys, bias, bias)),
    "deberta.bucket": (lambda r: deberta.bucket(r, num_buckets=4, max_position=9), (at - 5,)),
    "deberta.relative_index": (lambda r: deberta.relative_index(r, span=3), (at - 5,)),
    "disentangled_scores": (deberta.disentangled_scores, (q, k, position_q, position_k, index)),
    **{name: (Attend(module), (q, k, v, at)) for name, module in encoded.items()},
}
UNIQUE = "encodes each distance once, and how many there are is seen only in the positions"
# Where a function cannot be used in a way, and why.
HOLES = {("TransformerXL", way): UNIQUE for way in ("vmap", "meta")} | {
    ("abel_bound", "trace"): "reads the dimension of its vectors, and a trace makes tensors of sizes",
}


class Exported(torch.nn.Module):
    """A function as the module that `torch.export` asks for."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *tensors):
        return self.function(*tensors)


def compile_(function, tensors):
    torch.compiler.reset()
    return torch.compile(function, fullgraph=True, backend="eager")(*tensors)


def export(function, tensors):
    return torch.export.export(Exported(function), tensors).module()(*tensors)


def vmap(function, tensors):
    """Each of two copies in a batch has its own numbers; the first are those asked for."""
    batch = [torch.stack((value, value.flip(0))) for value in tensors]
    found, other = torch.vmap(function)(*batch), function(*(value.flip(0) for value in tensors))
    torch.testing.assert_close(found[1], other, rtol=0, atol=1e-12)
    return found[0]


def meta(function, tensors):
    expected = function(*tensors)
    if isinstance(function, torch.nn.Module):
        function = copy.deepcopy(function).to("meta")
    found = function(*(value.to("meta") for value in tensors))
    assert (found.shape, found.dtype, found.device.type) == (expected.shape, expected.dtype, "meta")
    return expected


def trace(function, tensors):
    """The graph of one call is asked with other numbers."""
    graph = torch.jit.trace(function, tensors, check_trace=False)
    other = [value.flip(0) for value in tensors]
    torch.testing.assert_close(graph(*other), function(*other), rtol=0, atol=1e-12)
    return graph(*tensors)


def inference_mode(function, tensors):
    with torch.inference_mode():
        return function(*(value.clone() for value in tensors)).clone()


def double_backward(function, tensors):
    given = [value.clone().requires_grad_(value.is_floating_point()) for value in tensors]
    found = function(*given)
    if found.requires_grad:
        assert torch.autograd.gradcheck(function, given, fast_mode=True)
        assert torch.autograd.gradgradcheck(function, given, fast_mode=True)
    return found.detach()


WAYS = {
    "compile": compile_,
    "export": export,
    "vmap": vmap,
    "meta": meta,
    "trace": trace,
    "inference mode": inference_mode,
    "double backward": double_backward,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CALLS)
def test_a_function_is_used_in_a_way(evidence, untyped, name, way):
    function, tensors = CALLS[name]
    expected = function(*tensors)
    if (name, way) in HOLES:
        with pytest.raises(Exception):  # noqa: B017, each way has its own
            WAYS[way](function, tensors)
        evidence(name, "no torch", way, HOLES[name, way])
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own
        found = WAYS[way](function, tensors)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    evidence(name, "torch", way)


@pytest.mark.skipif(not shutil.which("g++") and not shutil.which("clang++"), reason="Inductor needs a C++ compiler")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_compiled_rotation_is_one_kernel(evidence, untyped, layout):
    """Half precision is widened, turned and rounded in one pass, without a call to what Inductor cannot compile."""
    from torch._inductor import metrics

    x, (cos, sin) = floats(3, 8, 64).bfloat16(), tables(torch.arange(8), floats(32).abs())
    torch.compiler.reset()
    metrics.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.compile(rotate, fullgraph=True, dynamic=False)(x, cos, sin, layout=layout)
    torch.testing.assert_close(found, rotate(x, cos, sin, layout=layout), rtol=2**-7, atol=0)
    assert metrics.generated_kernel_count == 1
    evidence(f"rotate, {layout}", "torch", "one kernel")


ON_A_GPU = [
    name for name in CALLS if lesson_device().type == "cuda" and name != "TransformerXL"
]  # for its reason, above


@pytest.mark.parametrize("name", ON_A_GPU)
def test_a_cuda_graph_captures_a_function(untyped, name):
    function, tensors = CALLS[name]
    if isinstance(function, torch.nn.Module):
        function = copy.deepcopy(function).to("cuda")
    tensors = [value.to("cuda") for value in tensors]
    expected = function(*tensors)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):  # what is set up at a first call must not be captured
        function(*tensors)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = function(*tensors)
    graph.replay()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
