"""Wrong input is answered by an error that names the argument; valid input never yields NaN."""

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from posemb_ref import (
    Absolute,
    LearnedEncoding,
    abel_bound,
    clip_distance,
    deberta,
    shaw_attention,
    sinusoidal,
)
from posemb_ref.attention import attention
from posemb_ref.distance import distances, shift
from posemb_ref.rotary.rope import LAYOUTS, Rotary, frequencies, rotate, rotation_matrix, tables
from tests.wrong_input import (
    bad_base,
    bad_dim,
    bad_positions,
    bad_vectors,
    not_finite,
    not_integers,
    not_one_of,
    quick,
    trials,
)


def test_the_tests_enforce_the_shapes_in_signatures():
    with pytest.raises(jaxtyping.TypeCheckError):
        frequencies("8")
    with pytest.raises(jaxtyping.TypeCheckError):
        rotate(torch.zeros(3, 8), torch.zeros(4, 4), torch.zeros(4, 4))


bad_layout = not_one_of(LAYOUTS)
bad_frequencies = st.one_of(bad_positions, st.sampled_from([torch.ones(()), torch.ones(2, 2, 2)]))
bad_tables = st.one_of(
    bad_vectors, st.sampled_from([(3, 3), (3, 0), (2, 2), (1, 2), (5, 3, 2)]).map(lambda shape: torch.ones(shape))
)
x, cos = torch.ones(3, 4), torch.ones(3, 2)

REFUSED = [
    ("dim", bad_dim, lambda bad: frequencies(bad)),
    ("dim", bad_dim, lambda bad: rotation_matrix(1, bad)),
    ("dim", bad_dim, lambda bad: Rotary(bad)),
    ("base", bad_base, lambda bad: frequencies(4, base=bad)),
    ("base", bad_base, lambda bad: rotation_matrix(1, 4, base=bad)),
    ("base", bad_base, lambda bad: Rotary(4, base=bad)),
    ("position", not_finite, lambda bad: rotation_matrix(bad, 4)),
    ("base", st.just(5e-324), lambda bad: frequencies(200, base=bad)),
    ("base", st.just(5e-324), lambda bad: rotation_matrix(3, 200, base=bad)),
    ("base", st.just(5e-324), lambda bad: sinusoidal(torch.tensor([3]), 200, base=bad)),
    ("base", st.just(1e-300), lambda bad: abel_bound(x, x, torch.tensor(1e300, dtype=torch.float64), base=bad)),
    ("base", st.sampled_from([10**400, -(10**400)]), lambda bad: frequencies(4, base=bad)),
    ("position", st.just(1e300), lambda bad: rotation_matrix(bad, 4, base=1e-300)),
    ("positions", st.just(torch.full((3,), 1e300, dtype=torch.float64)), lambda bad: tables(bad, torch.full((2,), 1e300, dtype=torch.float64))),
    ("q", bad_vectors | st.just(torch.ones(3, 2)), lambda bad: Rotary(4).on_query(bad, torch.arange(3))),
    ("k", bad_vectors | st.just(torch.ones(3, 2)), lambda bad: Rotary(4).on_key(bad, torch.arange(3))),
    ("positions", st.sampled_from([torch.arange(4), torch.arange(2), torch.ones(())]), lambda bad: Rotary(4).on_key(x, bad)),
    ("positions", st.just(torch.ones(5, 3)), lambda bad: Rotary(4).on_query(torch.ones(5, 5, 3, 4), bad)),
    ("positions", st.just(torch.ones(5, 3)), lambda bad: Absolute(lambda p: torch.ones(*p.shape, 4)).at_input(torch.ones(5, 5, 3, 4), bad)),
    ("layout", st.just(np.array(["half", "half"])), lambda bad: Rotary(4, layout=bad)),
    ("layout", bad_layout, lambda bad: Rotary(4, layout=bad)),
    ("layout", bad_layout, lambda bad: rotate(x, cos, cos, layout=bad)),
    ("positions", bad_positions, lambda bad: tables(bad, torch.ones(2))),
    ("positions", bad_positions, lambda bad: Rotary(4).on_query(x, bad)),
    ("frequencies", bad_frequencies, lambda bad: tables(torch.arange(3), bad)),
    ("dtype", st.sampled_from([torch.int64, torch.bool, "float32", None]), lambda bad: tables(torch.arange(3), torch.ones(2), dtype=bad)),
    ("x", bad_vectors, lambda bad: rotate(bad, cos, cos)),
    ("cos", bad_tables, lambda bad: rotate(x, bad, cos)),
    ("cos", bad_tables, lambda bad: rotate(x, bad, bad)),
    ("sin", bad_tables, lambda bad: rotate(x, cos, bad)),
    ("q", bad_vectors, lambda bad: attention(bad, x, x)),
    ("k", bad_vectors, lambda bad: attention(x, bad, x)),
    ("v", bad_vectors, lambda bad: attention(x, x, bad)),
    ("k", st.sampled_from([torch.ones(3, 5), torch.ones(4, 4), torch.ones(2, 3, 4), torch.ones(0, 4)]), lambda bad: attention(x, bad, x)),
    ("bias", st.sampled_from([torch.ones(4, 3), torch.ones(2, 3, 3), torch.ones(3, 3, dtype=torch.int64), 1.0]), lambda bad: attention(x, x, x, bias=bad)),
    ("scale", not_finite.filter(lambda bad: bad is not None), lambda bad: attention(x, x, x, scale=bad)),
    ("x", bad_vectors, lambda bad: Absolute(lambda positions: x).at_input(bad, torch.arange(3))),
    ("x", st.just(torch.ones(4)), lambda bad: Absolute(LearnedEncoding(9, 4)).at_input(bad, torch.tensor(3))),
    ("positions", st.sampled_from([torch.arange(1), torch.arange(4), torch.zeros(2, 3, dtype=torch.int64)]), lambda bad: Absolute(LearnedEncoding(9, 4)).at_input(x, bad)),
    ("query_positions", not_integers | st.just(torch.tensor(3)), lambda bad: distances(bad, torch.arange(3))),
    ("key_positions", not_integers | st.just(torch.tensor(3)), lambda bad: distances(torch.arange(3), bad)),
    ("query_positions", st.just(torch.zeros(3, 2, dtype=torch.int64)), lambda bad: distances(bad, torch.zeros(2, 2, dtype=torch.int64))),
    ("distance", st.just(torch.zeros(2, dtype=torch.uint64)), lambda bad: deberta.relative_index(bad, span=2)),
    ("span", st.sampled_from([2**63, 2**64, 2**62 + 1]), lambda bad: deberta.relative_index(torch.arange(2), span=bad)),
    ("high", st.sampled_from([2**63, 2**64]), lambda bad: clip_distance(torch.arange(2), 0, bad)),
    ("key_table", st.sampled_from([-torch.inf, torch.nan]).map(lambda value: torch.full((3, 4), value)), lambda bad: shaw_attention(x, x, x, bad, torch.ones(3, 4), max_distance=1)),
    ("value_table", st.sampled_from([-torch.inf, torch.nan]).map(lambda value: torch.full((3, 4), value)), lambda bad: shaw_attention(x, x, x, torch.ones(3, 4), bad, max_distance=1)),
    ("by_distance", bad_vectors, lambda bad: shift(bad)),
    ("by_distance", st.sampled_from([torch.ones(4, 3), torch.ones(0, 3)]), lambda bad: shift(bad)),
]  # fmt: skip


test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)


@quick
@given(
    pairs=st.integers(1, 5),
    extra=st.integers(0, 3),
    shape=st.lists(st.integers(0, 3), min_size=1, max_size=3),
    base=st.floats(1e-3, 1e9),
    offset=st.integers(-(2**31), 2**31),
    layout=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
def test_valid_input_keeps_its_shape_and_dtype_and_never_becomes_nan(pairs, extra, shape, base, offset, layout, dtype):
    x = torch.ones(*shape, 2 * pairs + extra, dtype=dtype)
    found = Rotary(2 * pairs, base=base, layout=layout).on_query(x, torch.arange(shape[-1]) + offset)
    assert found.shape == x.shape and found.dtype == dtype
    assert found.isfinite().all()
