"""posemb_ref.relative.t5 against whole-number arithmetic and loops in NumPy; nothing here asks the code under test."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from posemb_ref.relative.t5 import T5, bucket
from tests.common import DEVICE, Watch, at, vectors
from tests.wrong_input import bad_count, bad_vectors, not_integers, trials

TABLES = [(32, 128), (32, 256), (16, 64), (64, 1024), (4, 5), (6, 4), (320, 800)]
PARAMETERS = [(*table, both) for table in TABLES for both in (True, False)]


def whole_number_bucket(r, num_buckets, max_distance, bidirectional):
    """T5's bucket without a logarithm: r ≥ e(R/e)^(k/L) is r^L ≥ R^k e^(L−k)."""
    one_way = num_buckets // 2 if bidirectional else num_buckets
    e = one_way // 2
    steps, first_row = one_way - e, 0
    if r < 0:
        r, first_row = (-r, one_way) if bidirectional else (0, 0)
    if r < e:
        return first_row + r
    reached = r**steps
    return first_row + e + max(k for k in range(steps) if reached >= max_distance**k * e ** (steps - k))


def options(num_buckets, max_distance, bidirectional):
    return {"num_buckets": num_buckets, "max_distance": max_distance, "bidirectional": bidirectional}


def bias_by_loop(table, m, n, parameters):
    """One entry at a time, in float64."""
    bias = np.empty((table.shape[1], len(m), len(n)))
    for h, i, j in itertools.product(range(table.shape[1]), range(len(m)), range(len(n))):
        bias[h, i, j] = table[whole_number_bucket(int(m[i]) - int(n[j]), *parameters), h]
    return bias


def encoding_of(heads, parameters, seed=0):
    encoding = T5(heads, **options(*parameters)).double().to(DEVICE)
    encoding.load_state_dict({"table": vectors(parameters[0], heads, seed=seed)})
    return encoding, encoding.table.detach().cpu().numpy()


# Buckets


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_buckets_agree_with_whole_numbers(parameters):
    reach = min(3 * parameters[1], 1200)
    distance = torch.arange(-reach, reach + 1, device=DEVICE)
    expected = [whole_number_bucket(r, *parameters) for r in distance.tolist()]
    assert bucket(distance, **options(*parameters)).tolist() == expected


TIES = [(36, 32, 24), (72, 64, 48), (17, 27, 18), (9, 128, 8), (9, 128, 16)]  # buckets, maximum, distance on a cut


def test_at_a_tie_the_bucket_is_float32_s_and_not_float64_s():
    def steps(num_buckets, max_distance, tie, dtype):
        e = num_buckets // 2
        size = torch.tensor([tie], device=DEVICE).to(dtype)
        return e + int(torch.log(size / e) / math.log(max_distance / e) * (num_buckets - e))

    float32, float64 = ([steps(*case, dtype) for case in TIES] for dtype in (torch.float32, torch.float64))
    assert float32 != float64
    found = [bucket(torch.tensor([tie], device=DEVICE), **options(*table, False)).item() for *table, tie in TIES]
    assert found == float32


def test_the_buckets_of_a_t5_decoder_begin_where_they_do():
    rows = bucket(torch.arange(5000, device=DEVICE), bidirectional=False).tolist()
    starts = [*range(16), 16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]
    assert [rows.index(row) for row in range(32)] == starts


def test_the_buckets_of_a_t5_encoder_begin_where_they_do_in_both_directions():
    starts = [*range(8), 8, 12, 16, 23, 32, 46, 64, 91]
    past = bucket(torch.arange(5000, device=DEVICE)).tolist()
    future = bucket(-torch.arange(5000, device=DEVICE)).tolist()
    assert [past.index(row) for row in range(16)] == starts
    assert [future.index(row) for row in range(17, 32)] == starts[1:]
    assert 16 not in past + future


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_buckets_never_decrease_into_the_past_and_end_in_the_last_row(parameters):
    num_buckets, max_distance, both = parameters
    rows = bucket(torch.arange(2 * max_distance), **options(*parameters))
    last = num_buckets // 2 - 1 if both else num_buckets - 1
    assert (rows.diff() >= 0).all()
    assert rows[max_distance:].unique().tolist() == [last]
    assert rows[0] == 0


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64])
def test_every_integer_dtype_will_do_to_its_very_end(dtype):
    ends = torch.iinfo(dtype)
    distance = torch.tensor([ends.min, ends.max, 0, 9], dtype=dtype, device=DEVICE)
    for parameters in ((32, 128, True), (32, 128, False), (32, 200, True)):
        found = bucket(distance, **options(*parameters))
        assert found.dtype == torch.int64 and found.device.type == DEVICE.type
        small = [max(-10_000, min(10_000, r)) for r in distance.tolist()]
        assert found.tolist() == [whole_number_bucket(r, *parameters) for r in small]


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3, 4), (2, 0, 4)])
def test_buckets_keep_the_shape(shape):
    assert bucket(torch.zeros(shape, dtype=torch.int64)).shape == shape
    assert torch.equal(bucket(torch.arange(24).view(2, 12).mT), bucket(torch.arange(24)).view(2, 12).mT)


def test_a_bucket_leaves_its_input_as_it_was():
    distance = torch.arange(-300, 300)
    bucket(distance), bucket(distance, bidirectional=False)
    assert torch.equal(distance, torch.arange(-300, 300))


# Biases

POSITIONS = [
    (range(6), range(6)),
    ([0], range(200)),
    ([140, 3, 3], [900, -40, 3, 0]),
    (range(100_000, 100_004), range(99_990, 100_010, 3)),
]


@pytest.mark.parametrize(("m", "n"), POSITIONS)
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_the_bias_is_what_a_loop_makes_it(parameters, m, n):
    m, n = list(m), list(n)
    encoding, table = encoding_of(3, parameters)
    found = encoding.on_scores(vectors(3, len(m), 4), vectors(3, len(n), 4), at(m), at(n))
    np.testing.assert_array_equal(found.detach().cpu(), bias_by_loop(table, m, n, parameters))


def test_positions_may_differ_between_sequences_and_even_between_heads():
    encoding, table = encoding_of(3, (8, 20, True))
    m = np.array([[0, 1, 2], [50, 7, 9]])
    n = np.array([[0, 5], [30, 8]])
    q, k = vectors(2, 3, 3, 4), vectors(2, 3, 2, 4)
    expected = np.stack([bias_by_loop(table, m[i], n[i], (8, 20, True)) for i in range(2)])
    for heads in (1, 3):
        found = encoding.on_scores(q, k, at(m)[:, None].expand(2, heads, 3), at(n)[:, None])
        np.testing.assert_array_equal(found.detach().cpu(), expected)
    by_head = encoding.on_scores(q[0], k[0], at([[0, 1, 2], [5, 6, 7], [90, 1, 30]]), at([0, 4])).detach().cpu()
    for h, own in enumerate([[0, 1, 2], [5, 6, 7], [90, 1, 30]]):
        np.testing.assert_array_equal(by_head[h], bias_by_loop(table, own, [0, 4], (8, 20, True))[h])


@pytest.mark.parametrize("causal", [False, True])
def test_attention_adds_the_bias_to_undivided_inner_products(causal):
    parameters = (16, 40, not causal)
    encoding, table = encoding_of(2, parameters)
    q, k, v = vectors(2, 7, 8, seed=1), vectors(2, 9, 8, seed=2), vectors(2, 9, 5, seed=3)
    m, n = list(range(32, 39)), list(range(30, 39))
    found = encoding(q, k, v, at(m), at(n), causal=causal).detach().cpu()
    scores = (q @ k.mT).cpu().numpy() + bias_by_loop(table, m, n, parameters)
    if causal:
        scores[:, np.array(m)[:, None] < np.array(n)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    expected = weights / weights.sum(-1, keepdims=True) @ v.cpu().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_what_is_asked_and_answered_does_not_matter_to_the_bias_nor_the_bias_to_the_values():
    encoding, _ = encoding_of(2, (32, 128, True))
    m = at(range(50))
    one = encoding.on_scores(vectors(2, 50, 4, seed=1), vectors(2, 50, 4, seed=2), m, m)
    other = encoding.on_scores(vectors(2, 50, 4, seed=3), vectors(2, 50, 4, seed=4), m, m)
    assert torch.equal(one, other)
    assert encoding.on_values(one.softmax(-1), m, m) is None
    x = vectors(2, 50, 4)
    assert all(door(x, m) is x for door in (encoding.at_input, encoding.on_query, encoding.on_key))


def test_the_bias_follows_its_table():
    encoding, _ = encoding_of(2, (8, 20, True))
    for seed in (1, 2):
        encoding.load_state_dict({"table": vectors(8, 2, seed=seed)})
        found = encoding.on_scores(vectors(2, 1, 4), vectors(2, 3, 4), at([5]), at([0, 4, 30])).detach().cpu()
        table = vectors(8, 2, seed=seed).cpu().numpy()
        np.testing.assert_array_equal(found, bias_by_loop(table, [5], [0, 4, 30], (8, 20, True)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_bias_has_the_dtype_of_q_and_its_buckets_stay_exact(dtype):
    encoding, table = encoding_of(2, (32, 128, True))
    rounded = torch.from_numpy(table).to(dtype).double().numpy()
    m, n = [0, 100], [16, 32, 90, 300, 84, 68, 10]
    for module in (encoding, encoding.to(dtype)):
        found = module.on_scores(vectors(2, 2, 4, dtype=dtype), vectors(2, 7, 4, dtype=dtype), at(m), at(n))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.detach().double().cpu(), bias_by_loop(rounded, m, n, (32, 128, True)))


def test_the_bias_is_differentiable_in_the_table_and_unread_rows_stay_still():
    encoding, _ = encoding_of(2, (8, 20, True))
    q, m = vectors(2, 4, 3), at(range(4))

    def bias(table):
        return torch.func.functional_call(encoding, {"table": table}, (q, q, q, m, m))

    assert torch.autograd.gradcheck(bias, encoding.table.detach().clone().requires_grad_())
    encoding.on_scores(q, q, m, m).sum().backward()
    # Distances 0, 1, 2, 3, of which 2 and 3 share a bucket: 4, 3 and 2 + 1 pairs, and as many in the future.
    assert encoding.table.grad[:, 0].tolist() == [4, 3, 3, 0, 0, 3, 3, 0]


def test_floats_are_made_once_per_distance_and_once_at_the_end_for_the_pairs():
    encoding, _ = encoding_of(2, (32, 128, True))
    q, m = vectors(2, 700, 1), at(range(700))
    with torch.no_grad(), Watch() as watch:
        encoding.on_scores(q, q, m, m)
    floats = [value for _, value in watch.seen if value.is_floating_point()]
    sizes = [value.untyped_storage().nbytes() // value.element_size() for value in floats]
    large = [size for size in sizes if size > 2 * (2 * 128 + 1)]
    assert large == [2 * 700 * 700]


def test_the_table_is_the_only_parameter_and_the_scale_is_one():
    encoding = T5(12, num_buckets=20)
    assert {name: tuple(p.shape) for name, p in encoding.named_parameters()} == {"table": (20, 12)}
    assert encoding.scale == 1.0 and list(encoding.state_dict()) == ["table"]


# Wrong input

q3, positions3 = torch.ones(2, 3, 4), torch.arange(3)
odd = st.integers(2, 50).map(lambda n: 2 * n + 1)
not_a_flag = st.sampled_from([None, 0, 1, "yes"])
bad_heads = st.sampled_from([torch.ones(3, 4), torch.ones(1, 3, 4), torch.ones(5, 3, 4), torch.ones(2, 1, 3, 4)])
bad_length = st.sampled_from([torch.arange(2), torch.arange(1), torch.arange(4), torch.zeros(3, 3, dtype=torch.int64)])

REFUSED = [
    ("distance", not_integers, lambda bad: bucket(bad)),
    ("num_buckets", bad_count, lambda bad: bucket(positions3, num_buckets=bad)),
    ("num_buckets", odd, lambda bad: bucket(positions3, num_buckets=bad)),
    ("num_buckets", st.just(2), lambda bad: bucket(positions3, num_buckets=bad)),
    ("num_buckets", st.just(1), lambda bad: bucket(positions3, num_buckets=bad, bidirectional=False)),
    ("max_distance", bad_count, lambda bad: bucket(positions3, max_distance=bad)),
    ("max_distance", st.integers(1, 8), lambda bad: bucket(positions3, max_distance=bad)),
    ("max_distance", st.integers(1, 16), lambda bad: bucket(positions3, max_distance=bad, bidirectional=False)),
    ("max_distance", st.integers(2**24 + 1, 2**80), lambda bad: bucket(positions3, max_distance=bad)),
    ("bidirectional", not_a_flag, lambda bad: bucket(positions3, bidirectional=bad)),
    ("num_heads", bad_count, lambda bad: T5(bad)),
    ("num_buckets", bad_count | odd, lambda bad: T5(2, num_buckets=bad)),
    ("max_distance", bad_count, lambda bad: T5(2, max_distance=bad)),
    ("bidirectional", not_a_flag, lambda bad: T5(2, bidirectional=bad)),
    ("q", bad_vectors | bad_heads, lambda bad: T5(2).scores(bad, q3, positions3, positions3)),
    ("k", bad_vectors | bad_heads, lambda bad: T5(2).scores(q3, bad, positions3, positions3)),
    (
        "query_positions",
        not_integers | bad_length | st.just(torch.tensor(0)),
        lambda bad: T5(2).scores(q3, q3, bad, positions3),
    ),
    (
        "key_positions",
        not_integers | bad_length | st.just(torch.tensor(0)),
        lambda bad: T5(2).scores(q3, q3, positions3, bad),
    ),
]


test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)


@pytest.mark.parametrize("parameters", [(4, 2, True), (2, 2, False), (3, 2, False), (32, 9, True), (32, 17, False)])
def test_the_smallest_tables_that_make_sense_are_accepted(parameters):
    rows = bucket(torch.arange(-40, 41), **options(*parameters)).tolist()
    assert rows == [whole_number_bucket(r, *parameters) for r in range(-40, 41)]


def test_a_table_may_reach_as_far_as_float32_counts():
    assert bucket(torch.tensor([2**24 - 1, 2**24]), max_distance=2**24).tolist() == [15, 15]


def test_an_encoding_has_the_parameters_of_t5_unless_told_otherwise():
    encoding = T5(2)
    assert encoding.table.shape == (32, 2)
    given = (encoding.num_buckets, encoding.max_distance, encoding.bidirectional)
    assert given == (32, 128, True)
    distance = torch.arange(-200, 200)
    assert torch.equal(bucket(distance), bucket(distance, num_buckets=32, max_distance=128, bidirectional=True))


# What the lesson says about the module


def test_the_last_bucket_begins_at_the_ceiling_of_the_lesson_s_formula():
    for num_buckets, max_distance in [(32, 128), (16, 128), (32, 256), (64, 1024), (128, 2048)]:
        e, steps = num_buckets // 2, num_buckets - num_buckets // 2
        first = math.ceil(max_distance * (e / max_distance) ** (1 / steps))
        rows = bucket(torch.tensor([first - 1, first]), **options(num_buckets, max_distance, False)).tolist()
        assert rows == [num_buckets - 2, num_buckets - 1]


def test_encoder_and_decoder_agree_up_to_distance_8_and_differ_in_1540_of_2080_pairs():
    differ = bucket(torch.arange(64)) != bucket(torch.arange(64), bidirectional=False)
    assert differ.nonzero()[0].item() == 9
    assert sum(64 - r for r in differ.nonzero().flatten().tolist()) == 1540


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("first_distance", "the exact ones forgotten", ("if i < E:", "if i < 0:"), "agreement fails"),
    ("first_distance", "the cut missed when it is whole", ("r**C < R", "r**C <= R"), "agreement fails"),
    ("first_distance", "one short", ("return r\n", "return r - 1\n"), "agreement fails"),
    ("first_distance", "one step too few", ("B - B // 2", "B // 2 - 1"), "agreement fails"),
    ("first_distance", "one bucket off", ("i - E, E", "i - E + 1, E"), "agreement fails"),
    ("first_distance", "E and R exchanged", ("R**k * E ** (C - k)", "E**k * R ** (C - k)"), "agreement fails"),
    ("spread", "n − m", ("m[:, None] - n", "n - m[:, None]"), "agreement fails"),
    ("spread", "a sum of positions", ("m[:, None] - n", "m[:, None] + n"), "shift invariance fails"),
    ("spread", "a causal table", ("both=True", "both=False"), "agreement fails"),
    ("spread", "one column off", ("distance - low", "distance - low - 1"), "agreement fails"),
    ("spread", "absolute positions", ("distance - low]", "distance - low] + m[0]"), "shift invariance fails"),
    ("spread", "heads last", (".T\n", "\n"), "stopped with IndexError|agreement"),
    ("for_kernel", "nothing done", ("math.sqrt(W_q.shape[0]) *", "1.0 *"), "agreement fails"),
    ("for_kernel", "the bias scaled as well", ("* W_q, bias", "* W_q, math.sqrt(W_q.shape[0]) * bias"), "agreement fails"),
    ("for_kernel", "divided once more", ("math.sqrt(W_q.shape[0]) *", "1 / math.sqrt(W_q.shape[0]) *"), "agreement fails"),
    ("for_kernel", "the wrong dimension", ("W_q.shape[0]", "W_q.shape[1]"), "agreement fails"),
    ("keys_for_half", "the last number not subtracted", (" - b[-1]", ""), "agreement fails"),
    ("keys_for_half", "from 128 on", ("113 +", "128 +"), "agreement fails"),
    ("keys_for_half", "rounded down", ("math.ceil", "math.floor"), "agreement fails"),
    ("keys_for_half", "buckets counted, not distances", ("buckets(np.arange(113))", "np.arange(31)"), "agreement fails"),
]  # fmt: skip
