"""posemb_ref.rotary.layout against index loops, and what conversion must leave alone: the scores."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from posemb_ref.rotary.layout import to_half, to_interleaved
from posemb_ref.rotary.rope import Rotary
from tests.wrong_input import bad_count, bad_dim, not_a_tensor, not_floats, trials


def weights(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def half_rows(weight, heads, width):
    """Move row by row: pair i's members to i and i + width/2."""
    out, dim = weight.copy(), len(weight) // heads
    for head in range(heads):
        for i in range(width // 2):
            for member in (0, 1):
                out[head * dim + i + member * width // 2] = weight[head * dim + 2 * i + member]
    return out


@pytest.mark.parametrize(
    ("heads", "dim", "width"), [(1, 2, 2), (1, 8, 8), (3, 8, 8), (2, 12, 4), (4, 6, 2), (2, 10, 6)]
)
@pytest.mark.parametrize("columns", [(), (5,), (5, 2)])
def test_to_half_moves_each_row_to_its_place(heads, dim, width, columns):
    weight = weights(heads * dim, *columns)
    kept = weight.clone()
    expected = half_rows(weight.numpy(), heads, width)
    np.testing.assert_array_equal(to_half(weight, heads, rotary_dim=width), expected)
    assert torch.equal(weight, kept)
    np.testing.assert_array_equal(to_interleaved(torch.tensor(expected), heads, rotary_dim=width), kept)


@pytest.mark.parametrize("convert", [to_half, to_interleaved])
def test_all_dimensions_turn_unless_told_otherwise(convert):
    weight = weights(3 * 8, 5)
    assert torch.equal(convert(weight, 3), convert(weight, 3, rotary_dim=8))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("convert", [to_half, to_interleaved])
def test_conversion_keeps_the_dtype_and_every_number(evidence, convert, dtype):
    weight = weights(2 * 6, 3, dtype=dtype)
    found = convert(weight, 2)
    assert found.dtype == dtype
    assert torch.equal(found.double().sort(0).values, weight.double().sort(0).values)
    evidence(f"rotary.layout.{convert.__name__}", "dtype", str(dtype)[6:])


def scores(x, query, key, heads, layout):
    q, k = (w.unflatten(0, (-1, 8)) @ x.mT for w in (query, key))
    k = k.repeat_interleave(len(q) // len(k), 0)
    at = torch.arange(len(x))
    return Rotary(8, layout=layout).scores(q.mT, k.mT, at, at)


@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_a_converted_model_gives_the_same_scores_in_the_other_layout(evidence, key_heads):
    x, query, key = weights(6, 10), weights(4 * 8, 10, seed=1), weights(key_heads * 8, 10, seed=2)
    before = scores(x, query, key, 4, "interleaved")
    both = scores(x, to_half(query, 4), to_half(key, key_heads), 4, "half")
    torch.testing.assert_close(both, before, rtol=0, atol=1e-12)
    for name in ("to_half", "to_interleaved"):
        evidence(f"rotary.layout.{name}", "law", "the scores of a converted model")
    one = scores(x, to_half(query, 4), key, 4, "half")
    none = scores(x, query, key, 4, "half")
    assert min((one - before).abs().max(), (none - before).abs().max()) > 1


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("convert", [to_half, to_interleaved])
def test_one_head_may_turn_two_dimensions_of_its_own(convert, width):
    weight = weights(4, 3)
    found = convert(weight, 1, rotary_dim=width)
    order = {2: [0, 1, 2, 3], 4: [0, 2, 1, 3]}[width]
    assert torch.equal(found, weight[order])
    assert found.data_ptr() != weight.data_ptr()


weight = torch.ones(24, 5)
REFUSED = [
    (argument, values, functools.partial(call, convert))
    for convert in (to_half, to_interleaved)
    for argument, values, call in [
        ("weight", st.one_of(not_a_tensor, not_floats, st.just(torch.ones(()))), lambda f, bad: f(bad, 1)),
        ("weight", st.sampled_from([torch.ones(0, 5), torch.ones(9, 5), torch.ones(25)]), lambda f, bad: f(bad, 3)),
        ("num_heads", bad_count, lambda f, bad: f(weight, bad)),
        ("num_heads", st.sampled_from([5, 24, 48]), lambda f, bad: f(weight, bad)),
        ("rotary_dim", bad_dim.filter(lambda bad: bad is not None), lambda f, bad: f(weight, 2, rotary_dim=bad)),
        ("rotary_dim", st.sampled_from([14, 24]), lambda f, bad: f(weight, 2, rotary_dim=bad)),
    ]
]
test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    (
        "pair_order",
        "odd before even",
        ("range(0, dim, 2), *range(1", "range(1, dim, 2), *range(0"),
        "agreement fails",
    ),
    ("pair_order", "nothing moved", ("[*range(0, dim, 2), *range(1, dim, 2)]", "list(range(dim))"), "agreement fails"),
    ("pair_order", "the inverse", ("np.array(", "np.argsort("), "agreement fails"),
    ("pair_order", "reversed", ("range(0, dim, 2)", "range(dim - 2, -1, -2)"), "agreement fails"),
    (
        "convert_fused",
        "query heads for the keys",
        ("to_half(key, key_heads)", "to_half(key, heads)"),
        "ValueError: weight",
    ),
    ("convert_fused", "the values turned", ("value))", "to_half(value, key_heads)))"), "agreement fails"),
    ("convert_fused", "the keys forgotten", ("to_half(key, key_heads)", "key"), "agreement fails"),
    ("convert_fused", "the other way", ("to_half(query", "to_interleaved(query"), "agreement fails"),
    ("convert_fused", "one head", ("to_half(query, heads)", "to_half(query, 1)"), "agreement fails"),
    ("turn_part", "halves of the head", ("rotary_dim // 2", "len(x) // 2"), "stopped with ValueError"),
    ("turn_part", "exponent over the head", ("/ rotary_dim", "/ len(x)"), "agreement fails for the call"),
    ("turn_part", "clockwise", ("angles = position", "angles = -position"), "agreement fails for the call"),
    ("turn_part", "one sign", ("+ first * sin", "- first * sin"), "agreement fails"),
    ("turn_part", "the rest dropped", (", rest))", ", 0 * rest))"), "agreement fails"),
]
