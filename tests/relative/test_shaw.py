"""posemb_ref.relative.shaw against the formulas written down again as loops in NumPy, and the lesson's claims."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from posemb_ref import laws
from posemb_ref.attention import attention
from posemb_ref.relative.shaw import Shaw, clip_distance, shaw_attention
from tests.common import DEVICE, Watch, at, vectors
from tests.wrong_input import bad_count, bad_vectors, not_a_tensor, not_floats, not_integers, quick, trials


def one_head(q, k, v, m, n, key_vector, value_vector, *, causal=False):
    """Shaw's equations (3) and (4), one pair of positions at a time: scores and outputs.

    The vectors are given by the paper's own index, clip(n − m): minus the distance of this book.
    """
    scores, outputs = np.empty((len(m), len(n))), np.zeros((len(m), v.shape[1]))
    for i, query_position in enumerate(m):
        for j, key_position in enumerate(n):
            scores[i, j] = q[i] @ (k[j] + key_vector(key_position - query_position)) / np.sqrt(len(q[i]))
        seen = [j for j in range(len(n)) if not causal or n[j] <= query_position]
        weight = np.exp(scores[i, seen] - scores[i, seen].max())
        weight /= weight.sum()
        for share, j in zip(weight, seen, strict=True):
            outputs[i] += share * (v[j] + value_vector(n[j] - query_position))
    return scores, outputs


def by_paper(table, max_distance):
    """Return a^K or a^V as a function of j − i; our table begins with the farthest future, so it is read backwards."""
    reversed_table = table.detach().cpu().numpy()[::-1]

    def vector(key_less_query):
        clipped = max(-max_distance, min(max_distance, key_less_query))
        return reversed_table[clipped + max_distance]

    return vector


def expected(q, k, v, m, n, key_table, value_table, max_distance, *, causal=False):
    m, n = np.asarray(m).tolist(), np.asarray(n).tolist()
    arrays = [value.detach().cpu().numpy() for value in (q, k, v)]
    return one_head(
        *arrays, m, n, by_paper(key_table, max_distance), by_paper(value_table, max_distance), causal=causal
    )


def encoding(dim=4, *, max_distance=2, seed=5):
    made = Shaw(dim, max_distance=max_distance).double().to(DEVICE)
    made.key_table.data = vectors(2 * max_distance + 1, dim, seed=seed)
    made.value_table.data = vectors(2 * max_distance + 1, dim, seed=seed + 1)
    return made


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.int64])
@pytest.mark.parametrize(("low", "high"), [(-3, 3), (-5, 1), (0, 4), (2, 2), (-100, 100)])
def test_clip_keeps_what_lies_between(low, high, dtype):
    distance = torch.arange(-9, 10, dtype=dtype, device=DEVICE).reshape(1, 19)
    found = clip_distance(distance, low, high)
    assert found.tolist() == [[low if r < low else high if r > high else r for r in range(-9, 10)]]
    assert found.dtype == torch.int64 and found.device == distance.device


def test_clip_of_unsigned_and_of_far_distances():
    assert clip_distance(torch.tensor([0, 3, 200], dtype=torch.uint8), -4, 4).tolist() == [0, 3, 4]
    far = torch.tensor([-(2**62), 2**62])
    assert clip_distance(far, -(2**40), 7).tolist() == [-(2**40), 7]


LENGTHS = [(1, 1), (1, 6), (4, 4), (3, 7), (9, 9)]  # queries, keys


@pytest.mark.parametrize(("queries", "keys"), LENGTHS)
@pytest.mark.parametrize("max_distance", [0, 1, 2, 20])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_equations_3_and_4(queries, keys, max_distance, causal):
    q, k, v = vectors(2, 3, queries, 4), vectors(2, 3, keys, 4, seed=1), vectors(2, 3, keys, 4, seed=2)
    tables = vectors(2, 2 * max_distance + 1, 4, seed=3)
    found = shaw_attention(q, k, v, *tables, max_distance=max_distance, causal=causal)
    assert found.shape == q.shape
    m, n = range(keys - queries, keys), range(keys)
    for batch, head in itertools.product(range(2), range(3)):
        one = (value[batch, head] for value in (q, k, v))
        _, outputs = expected(*one, m, n, *tables, max_distance, causal=causal)
        np.testing.assert_allclose(found[batch, head].cpu(), outputs, rtol=0, atol=1e-12)


def test_one_sequence_without_leading_axes_and_more_queries_than_keys():
    q, k, v, tables = vectors(5, 4), vectors(3, 4, seed=1), vectors(3, 4, seed=2), vectors(2, 5, 4, seed=3)
    _, outputs = expected(q, k, v, range(-2, 3), range(3), *tables, 2)
    found = shaw_attention(q, k, v, *tables, max_distance=2)
    np.testing.assert_allclose(found.cpu(), outputs, rtol=0, atol=1e-12)


POSITIONS = [
    (range(3), range(5)),
    ((40, 3, 3), (9, 0, 41, 2)),
    ((-7, 0, 100_000), (5, 99_999, -8)),
    ((5,), (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)),
]


@pytest.mark.parametrize(("m", "n"), POSITIONS)
@pytest.mark.parametrize("max_distance", [0, 1, 3])
def test_the_encoding_at_any_whole_positions(m, n, max_distance):
    made = encoding(max_distance=max_distance)
    q, k, v = vectors(len(m), 4), vectors(len(n), 4, seed=1), vectors(len(n), 4, seed=2)
    scores, outputs = expected(q, k, v, m, n, made.key_table, made.value_table, max_distance)
    m, n = at(m), at(n)
    np.testing.assert_allclose(made.scores(q, k, m, n).detach().cpu(), scores, rtol=0, atol=1e-12)
    np.testing.assert_allclose(made(q, k, v, m, n).detach().cpu(), outputs, rtol=0, atol=1e-12)


def test_each_row_of_a_batch_may_have_its_own_positions():
    made, q = encoding(), vectors(2, 3, 2, 4)
    k, v = vectors(2, 3, 5, 4, seed=1), vectors(2, 3, 5, 4, seed=2)
    m, n = at([[[6, 7]], [[90, 2]]]), at([[[3, 4, 5, 6, 7]], [[0, 1, 2, 3, 90]]])
    found = made(q, k, v, m, n)
    for batch, head in itertools.product(range(2), range(3)):
        one = (value[batch, head] for value in (q, k, v))
        _, outputs = expected(*one, m[batch, 0].cpu(), n[batch, 0].cpu(), made.key_table, made.value_table, 2)
        np.testing.assert_allclose(found[batch, head].detach().cpu(), outputs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), LENGTHS)
def test_the_encoding_and_the_function_agree(queries, keys, causal):
    made, q, k, v = encoding(), vectors(2, queries, 4), vectors(2, keys, 4, seed=1), vectors(2, keys, 4, seed=2)
    n = torch.arange(keys, device=DEVICE)
    by_function = shaw_attention(q, k, v, made.key_table, made.value_table, max_distance=2, causal=causal)
    torch.testing.assert_close(made(q, k, v, n[keys - queries :], n, causal=causal), by_function, rtol=0, atol=1e-12)


def test_tables_of_zeros_leave_plain_attention():
    q, k, v, none = vectors(2, 5, 4), vectors(2, 5, 4, seed=1), vectors(2, 5, 4, seed=2), vectors(5, 4) * 0
    for causal in (False, True):
        found = shaw_attention(q, k, v, none, none, max_distance=2, causal=causal)
        torch.testing.assert_close(found, attention(q, k, v, causal=causal), rtol=0, atol=1e-12)


def test_scores_are_not_bounded_by_the_lengths_of_query_and_key_but_by_the_table():
    made = encoding(8, max_distance=3, seed=2).cpu().requires_grad_(False)
    assert "boundedness" in str(laws.boundedness(made.scores, dim=8, scale=8**-0.5))
    q, k = vectors(7, 8).cpu(), vectors(9, 8, seed=1).cpu()
    longest = made.key_table.norm(dim=-1).max()
    for offset in (0, 3, -100_000):
        found = made.scores(q, k, torch.arange(7) + offset, torch.arange(9)) * 8**0.5
        assert (found.abs() <= q.norm(dim=-1)[:, None] * (k.norm(dim=-1) + longest) + 1e-9).all()


def test_the_encoding_feels_the_distance_its_sign_and_the_clip():
    made, x, n = encoding(), vectors(3, 2, 6, 4), torch.arange(6, device=DEVICE)
    there = made(*x, n, n)
    assert (there - made(*x, -n, -n)).abs().max() > 1e-2
    assert (there - made(*x, n, 2 * n)).abs().max() > 1e-2
    # From distance 2 on, which is the clip, nothing changes any more.
    assert torch.equal(made(*x, 2 * n, 2 * n), made(*x, 7 * n, 7 * n))


def test_order_beyond_the_clip_is_invisible_and_within_it_is_not():
    made, q, n = encoding(max_distance=4), vectors(1, 4), torch.arange(12, device=DEVICE)
    k, v = vectors(12, 4, seed=1), vectors(12, 4, seed=2)
    there = made(q, k, v, n[-1:], n)
    far = torch.tensor([5, 2, 7, 0, 1, 6, 4, 3, 8, 9, 10, 11])  # of distances 11 … 4
    torch.testing.assert_close(made(q, k[far], v[far], n[-1:], n), there, rtol=0, atol=1e-12)
    near = torch.tensor([0, 1, 2, 3, 4, 5, 6, 8, 7, 9, 10, 11])  # distances 4 and 3
    assert (made(q, k[near], v[near], n[-1:], n) - there).abs().max() > 1e-3


def test_the_values_carry_the_distance_when_all_scores_are_equal():
    made, n = encoding(max_distance=3), torch.arange(5, device=DEVICE)
    nothing = vectors(5, 4) * 0
    found = made(nothing, nothing, nothing, n, n).detach().cpu()
    table = made.value_table.detach().cpu().numpy()
    means = [np.mean([table[max(-3, min(3, i - j)) + 3] for j in range(5)], axis=0) for i in range(5)]
    np.testing.assert_allclose(found, means, rtol=0, atol=1e-12)


def test_a_causal_model_trains_the_rows_of_the_past_and_no_others():
    made, x, n = encoding(max_distance=3), vectors(3, 6, 4), torch.arange(6, device=DEVICE)
    made(*x, n, n, causal=True).pow(2).sum().backward()
    for table in (made.key_table, made.value_table):
        assert (table.grad.abs().sum(-1) > 0).tolist() == [False] * 3 + [True] * 4


def test_no_tensor_grows_with_both_length_and_width():
    x, tables = vectors(3, 64, 32, dtype=torch.float32), vectors(2, 9, 32, dtype=torch.float32)
    with Watch() as watch:
        shaw_attention(*x, *tables, max_distance=4, causal=True)
    # One int64 per pair of positions, its distance, is the most.
    assert max(found.untyped_storage().nbytes() for _, found in watch.seen) <= 64 * 64 * 8


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_function_keeps_the_dtype(dtype):
    x, tables = vectors(3, 2, 6, 4, dtype=dtype), vectors(2, 5, 4, dtype=dtype)
    found = shaw_attention(*x, *tables, max_distance=2)
    exact = shaw_attention(*x.double(), *tables.double(), max_distance=2)
    assert found.dtype == dtype and found.device == x.device
    assert (found.double() - exact).abs().max() <= 50 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_many_small_weights_in_one_row_are_not_lost(dtype):
    made, n = encoding(1, max_distance=1), torch.arange(3000, device=DEVICE)
    made.value_table.data = torch.tensor([[0.0], [0.0], [1.0]], device=DEVICE)
    weights = torch.full((1, 3000), 1 / 3000, dtype=dtype, device=DEVICE)
    with Watch() as watch:
        found = made.on_values(weights, n[-1:], n)
    # Not every device adds half-precision numbers in a wider type of its own accord.
    assert [sums.dtype for name, sums in watch.seen if "scatter_add" in name] == [torch.float32]
    assert abs(found.item() - 2999 * weights[0, 0].item()) < 2 * torch.finfo(dtype).eps


def test_the_parameters_learn_and_are_named_in_the_checkpoint():
    made, n = encoding(max_distance=1), torch.arange(3, device=DEVICE)
    made(*vectors(3, 2, 3, 4), n, n).pow(2).sum().backward()
    assert {name: tuple(value.shape) for name, value in made.state_dict().items()} == {
        "key_table": (3, 4),
        "value_table": (3, 4),
    }
    assert all(parameter.grad.abs().min() > 1e-9 for parameter in made.parameters())


def test_fresh_tables_are_random_and_differ():
    made = Shaw(256, max_distance=8)
    for table in (made.key_table, made.value_table):
        assert 0.9 < table.norm(dim=-1).mean() < 1.1
    assert not torch.equal(made.key_table, made.value_table)
    assert made.max_distance == 8


def test_the_scale_is_that_of_the_inner_products():
    made, q, k, n = encoding(), vectors(1, 3, 4), vectors(1, 3, 4, seed=1), torch.arange(3, device=DEVICE)
    before = made.scores(q, k, n, n)
    made.scale = 1.0
    torch.testing.assert_close(made.scores(q, k, n, n), 2 * before, rtol=0, atol=1e-12)


def ones(*shape):
    return torch.ones(shape)


def attend(**changed):
    given = {"q": ones(3, 4), "k": ones(3, 4), "v": ones(3, 4), "key_table": ones(5, 4), "value_table": ones(5, 4)}
    return shaw_attention(**{**given, "max_distance": 2, **changed})


at3, plain = torch.arange(3), Shaw(4, max_distance=2).requires_grad_(False)
wide = ones(3, 5)
bad_table = st.one_of(
    not_a_tensor,
    not_floats,
    st.just(ones(5, 4).double()),
    st.sampled_from([(4, 4), (6, 4), (1, 4), (5, 1), (5, 5), (4,), (1, 5, 4)]).map(lambda shape: ones(*shape)),
)
bad_at = st.one_of(
    not_integers, st.sampled_from([torch.arange(4), torch.arange(1), torch.zeros(2, 3, dtype=torch.int64)])
)
bad_maximum = st.one_of(st.integers(max_value=-1), bad_count.filter(lambda bad: bad != 0 or isinstance(bad, bool)))
bad_int = st.one_of(st.none(), st.floats(), st.booleans(), st.text(max_size=2), st.just(torch.tensor(1)))

REFUSED = [
    ("distance", not_integers, lambda bad: clip_distance(bad, -1, 1)),
    ("low", bad_int, lambda bad: clip_distance(at3, bad, 1)),
    ("low", st.integers(min_value=2), lambda bad: clip_distance(at3, bad, 1)),
    ("high", bad_int, lambda bad: clip_distance(at3, -1, bad)),
    ("q", st.one_of(bad_vectors, st.sampled_from([ones(2, 3, 4), ones(0, 4)])), lambda bad: attend(q=bad)),
    ("k", st.one_of(bad_vectors, st.sampled_from([wide, ones(2, 3, 4), ones(0, 4)])), lambda bad: attend(k=bad)),
    ("v", st.one_of(bad_vectors, st.sampled_from([wide, ones(3, 1), ones(4, 4)])), lambda bad: attend(v=bad)),
    ("key_table", bad_table, lambda bad: attend(key_table=bad)),
    ("value_table", bad_table, lambda bad: attend(value_table=bad)),
    ("max_distance", bad_maximum, lambda bad: attend(max_distance=bad)),
    ("max_distance", bad_maximum, lambda bad: Shaw(4, max_distance=bad)),
    ("dim", bad_count, lambda bad: Shaw(bad, max_distance=2)),
    ("q", st.just(ones(5, 4)), lambda bad: attend(q=bad, causal=True)),
    ("q", st.one_of(bad_vectors, st.just(wide)), lambda bad: plain.scores(bad, ones(3, 4), at3, at3)),
    ("k", bad_vectors, lambda bad: plain.scores(ones(3, 4), bad, at3, at3)),
    ("v", st.one_of(bad_vectors, st.sampled_from([wide, ones(3, 1)])), lambda bad: plain(ones(3, 4), ones(3, 4), bad, at3, at3)),
    ("query_positions", bad_at, lambda bad: plain.scores(ones(3, 4), ones(3, 4), bad, at3)),
    ("key_positions", bad_at, lambda bad: plain.scores(ones(3, 4), ones(3, 4), at3, bad)),
    ("query_positions", st.just(torch.zeros(3, 3).long()), lambda bad: plain.scores(ones(2, 3, 4), ones(2, 3, 4), bad, at3)),
    ("key_positions", st.just(torch.zeros(3, 3).long()), lambda bad: plain.scores(ones(2, 3, 4), ones(2, 3, 4), at3, bad)),
]  # fmt: skip


test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)


@quick
@given(
    dim=st.integers(1, 5),
    keys=st.integers(1, 6),
    max_distance=st.integers(0, 7),
    offset=st.integers(-(2**40), 2**40),
    causal=st.booleans(),
    data=st.data(),
)
def test_valid_input_never_becomes_nan(dim, keys, max_distance, offset, causal, data):
    queries = data.draw(st.integers(1, keys))
    made, x, n = Shaw(dim, max_distance=max_distance), torch.ones(2, keys, dim), torch.arange(keys)
    found = made(x[:, keys - queries :], x, x, n[keys - queries :] + offset, n + offset, causal=causal)
    assert found.shape == (2, queries, dim) and found.isfinite().all()


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("table_row", "sign turned round", ("m[:, None] - n", "n - m[:, None]"), "agreement fails"),
    ("table_row", "offset forgotten", (", K) + K", ", K)"), "agreement fails"),
    ("table_row", "not clipped", ("np.clip(m[:, None] - n, -K, K)", "m[:, None] - n"), "agreement fails"),
    ("table_row", "last row forgotten", ("-K, K)", "-K, K - 1)"), "agreement fails"),
    ("table_row", "transposed", ("m[:, None] - n", "m - n[:, None]"), "agreement fails"),
    ("looked_at", "a row for every pair", ("spent = [(weights * (rows == t)).sum(-1) for t in range(len(table))]\n    return np.stack(spent, axis=-1) @ table", "return (weights[..., None] * table[rows]).sum(1)"), "memory fails"),
    ("looked_at", "the last row left out", ("range(len(table))]", "range(len(table) - 1)] + [0 * weights[:, 0]]"), "agreement fails"),
    ("looked_at", "keys counted, not weighed", ("(weights * (rows == t))", "(rows == t)"), "agreement fails"),
    ("looked_at", "largest weight only", (".sum(-1)", ".max(-1)"), "agreement fails"),
    ("looked_at", "table upside down", ("@ table", "@ table[::-1]"), "agreement fails"),
    ("forgetting", "outer rows overwritten", ("return np.pad(table, ((1, 1), (0, 0)))", "return np.r_[0 * table[:1], table[1:-1], 0 * table[:1]]"), "agreement fails"),
    ("forgetting", "rows at one end", ("(1, 1)", "(2, 0)"), "agreement fails"),
    ("forgetting", "outer rows repeated", ("(0, 0)))", "(0, 0)), mode='edge')"), "agreement fails"),
    ("forgetting", "columns instead of rows", ("((1, 1), (0, 0))", "((0, 0), (1, 1))"), r"agreement \(shape\) fails"),
    ("skew", "not reversed", ("by_distance[:, ::-1]", "by_distance"), "agreement fails"),
    ("skew", "one too few dropped", ("[queries:]", "[queries - 1 : -1]"), "agreement fails"),
    ("skew", "zeros behind", ("(1, 0)", "(0, 1)"), "agreement fails"),
    ("skew", "all columns kept", ("[:, : columns - queries + 1]", ""), r"agreement \(shape\) fails"),
    ("skew", "the last columns kept", ("[:, : columns - queries + 1]", "[:, queries - 1 :]"), "agreement fails"),
]  # fmt: skip
