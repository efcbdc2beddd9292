"""posemb_ref.relative.deberta against its formulas written down again, as loops over NumPy's float64 and mpmath's numbers.

Nothing here takes its expected value from the code under test.
"""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from posemb_ref.relative.deberta import P2C, DeBERTa, bucket, disentangled_scores, relative_index
from tests.common import DEVICE, at, vectors
from tests.wrong_input import bad_count, bad_vectors, not_integers, not_one_of, trials

BUCKETS = [(2, 3), (2, 9), (3, 9), (6, 5), (6, 20), (7, 20), (8, 32), (32, 128), (256, 512), (256, 200), (512, 1024)]
OPTIONS = [
    {"span": span, "p2c": p2c, **more}
    for p2c in P2C
    for span, more in [(1, {}), (3, {}), (8, {}), (40, {}), (6, {"num_buckets": 6, "max_position": 20})]
]
POSITIONS = [
    (range(7), range(7)),
    (range(100, 107), range(100, 107)),
    (range(5, 7), range(7)),
    ([3, 90, -4, 41], [40, 3, 3, 2, -60, 88]),
]


def delta(m, n, span):
    """Equation (3), case by case."""
    if m - n <= -span:
        return 0
    return 2 * span - 1 if m - n >= span else m - n + span


def one_bucket(r, num_buckets, max_position):
    b = num_buckets // 2
    if abs(r) <= b:
        return r
    with mpmath.workdps(40):
        steps = mpmath.log(mpmath.mpf(abs(r)) / b) / mpmath.log(mpmath.mpf(max_position - 1) / b) * (b - 1)
        size = b + int(mpmath.ceil(steps - mpmath.mpf(10) ** -30))  # whole steps stay whole
    return size if r > 0 else -size


def row(m, n, span, num_buckets, max_position):
    distance = one_bucket(m - n, num_buckets, max_position) if num_buckets else m - n
    return delta(distance, 0, span)


def by_loops(q, k, table_q, table_k, m, n, *, span, p2c="paper", num_buckets=None, max_position=None):
    """Equation (4), one pair at a time, for one head."""
    out = np.zeros((len(m), len(n)))
    for i, j in itertools.product(range(len(m)), range(len(n))):
        asked = row(m[i], n[j], span, num_buckets, max_position)
        answered = asked if p2c == "released" else row(n[j], m[i], span, num_buckets, max_position)
        out[i, j] = q[i] @ k[j] + q[i] @ table_k[asked] + k[j] @ table_q[answered]
    return out / math.sqrt(3 * q.shape[-1])


def arrays(*tensors):
    return [value.detach().double().cpu().numpy() for value in tensors]


def made(dim, *, seed=0, **options):
    torch.manual_seed(seed)
    return DeBERTa(dim, **options).double().to(DEVICE)


def index_of(m, n, span):
    return torch.tensor([[delta(a, b, span) for b in n] for a in m], device=DEVICE)


@pytest.mark.parametrize(("num_buckets", "max_position"), BUCKETS)
def test_buckets_are_those_of_the_formula(num_buckets, max_position):
    reach = 3 * max_position
    found = bucket(at(range(-reach, reach + 1)), num_buckets=num_buckets, max_position=max_position)
    expected = [one_bucket(r, num_buckets, max_position) for r in range(-reach, reach + 1)]
    assert found.dtype == torch.int64 and found.device.type == DEVICE.type
    assert found.tolist() == expected


@pytest.mark.parametrize(("num_buckets", "max_position"), BUCKETS)
def test_the_last_bucket_ends_just_below_the_maximum(num_buckets, max_position):
    b = num_buckets // 2
    below, at_it = bucket(at([max_position - 1, max_position]), num_buckets=num_buckets, max_position=max_position)
    assert below == 2 * b - 1 and (at_it > below or b == 1)


@pytest.mark.parametrize("off", [None, 0, -1])
@pytest.mark.parametrize("max_position", [None, -1, 512])
def test_buckets_that_are_off_leave_the_distance_alone(off, max_position):
    distance = torch.tensor([[-1000, -1, 0], [1, 128, 10**12]], device=DEVICE)
    assert torch.equal(bucket(distance, num_buckets=off, max_position=max_position), distance)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.uint8])
def test_distances_may_come_in_any_integer_dtype(dtype):
    distance = torch.tensor([0, 3, 90], dtype=dtype, device=DEVICE)
    assert bucket(distance, num_buckets=8, max_position=100).tolist() == [one_bucket(r, 8, 100) for r in (0, 3, 90)]
    assert relative_index(distance, span=4).tolist() == [4, 7, 7]


@pytest.mark.parametrize("span", [1, 2, 3, 8, 512])
def test_the_row_is_that_of_equation_3(span):
    distances = range(-3 * span, 3 * span + 1)
    found = relative_index(at(distances).view(1, -1), span=span)
    assert found.tolist() == [[delta(r, 0, span) for r in distances]]


@pytest.mark.parametrize("span", [1, 3, 20])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (0,)])
@pytest.mark.parametrize("p2c", P2C)
def test_scores_are_those_of_equation_4(span, shape, p2c):
    q, k = vectors(*shape, 7, 5), vectors(*shape, 7, 5, seed=1)
    table_q, table_k = vectors(2 * span, 5, seed=2), vectors(2 * span, 5, seed=3)
    found = disentangled_scores(q, k, table_q, table_k, index_of(range(7), range(7), span), p2c=p2c)
    assert found.shape == (*shape, 7, 7)
    tables = arrays(table_q, table_k)
    for head in np.ndindex(shape):
        expected = by_loops(*arrays(q[head], k[head]), *tables, range(7), range(7), span=span, p2c=p2c)
        np.testing.assert_allclose(found[head].cpu(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("p2c", P2C)
def test_any_square_index_is_read_as_it_stands_and_transposed(p2c):
    generator = torch.Generator().manual_seed(5)
    index = torch.randint(0, 8, (6, 6), generator=generator)
    q, k, tables = vectors(6, 4), vectors(6, 4, seed=1), vectors(2, 8, 4, seed=2)
    found = disentangled_scores(q, k, *tables, index.to(DEVICE), p2c=p2c)
    (q, k), (table_q, table_k), index = arrays(q, k), arrays(*tables), index.numpy()
    for m, n in np.ndindex(6, 6):
        answered = index[n, m] if p2c == "paper" else index[m, n]
        expected = (q[m] @ k[n] + q[m] @ table_k[index[m, n]] + k[n] @ table_q[answered]) / math.sqrt(12)
        assert abs(found[m, n].item() - expected) < 1e-12


def test_the_reversed_index_is_given_where_it_cannot_be_derived():
    m, n, span = [5, 6], range(7), 4
    q, k, tables = vectors(2, 3, 2, 4), vectors(2, 3, 7, 4, seed=1), vectors(2, 8, 4, seed=2)
    index, reversed_index = index_of(m, n, span), index_of(n, m, span).mT
    found = disentangled_scores(q, k, *tables, index, reversed_index=reversed_index)
    expected = by_loops(*arrays(q[1, 2], k[1, 2]), *arrays(*tables), m, n, span=span)
    np.testing.assert_allclose(found[1, 2].cpu(), expected, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="reversed_index"):
        disentangled_scores(q, k, *tables, index)
    released = disentangled_scores(q, k, *tables, index, p2c="released")
    expected = by_loops(*arrays(q[0, 1], k[0, 1]), *arrays(*tables), m, n, span=span, p2c="released")
    np.testing.assert_allclose(released[0, 1].cpu(), expected, rtol=0, atol=1e-12)


def test_the_index_alone_does_not_tell_the_reversed_one():
    for span in (1, 2, 5):
        assert delta(span - 1, 0, span) == delta(span, 0, span)  # one row for two distances …
        assert delta(0, span - 1, span) != delta(0, span, span)  # … whose reversed rows differ


def test_tables_and_indices_may_differ_between_heads_and_sequences():
    q, k = vectors(2, 3, 5, 4), vectors(2, 3, 5, 4, seed=1)
    tables = vectors(2, 3, 8, 4, seed=2)
    positions = np.array([[0, 1, 2, 3, 4], [50, 52, 51, 90, 3]])
    index = torch.stack([index_of(row, row, 4) for row in positions.tolist()])[:, None]
    found = disentangled_scores(q, k, *tables, index)
    for i, h in np.ndindex(2, 3):
        line = positions[i].tolist()
        expected = by_loops(*arrays(q[i, h], k[i, h]), *arrays(*tables[:, h]), line, line, span=4)
        np.testing.assert_allclose(found[i, h].cpu(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("m", "n"), POSITIONS)
def test_the_encoding_scores_any_whole_positions(options, m, n):
    encoding, m, n = made(4, **options), list(m), list(n)
    q, k = vectors(2, 3, len(m), 4), vectors(2, 3, len(n), 4, seed=1)
    found = encoding.scores(q, k, at(m), at(n))
    tables = arrays(encoding.position_q, encoding.position_k)
    for head in np.ndindex(2, 3):
        expected = by_loops(*arrays(q[head], k[head]), *tables, m, n, **options)
        np.testing.assert_allclose(found[head].detach().cpu(), expected, rtol=0, atol=1e-12)


def test_positions_may_differ_between_sequences():
    encoding, q, k = made(4, span=3), vectors(2, 3, 4, 4), vectors(2, 3, 5, 4, seed=1)
    m, n = [[0, 1, 2, 3], [9, 4, 7, 30]], [[0, 1, 2, 3, 4], [5, 6, 60, 9, 8]]
    found = encoding.scores(q, k, torch.tensor(m, device=DEVICE)[:, None], torch.tensor(n, device=DEVICE)[:, None])
    tables = arrays(encoding.position_q, encoding.position_k)
    for i, h in np.ndindex(2, 3):
        expected = by_loops(*arrays(q[i, h], k[i, h]), *tables, m[i], n[i], span=3)
        np.testing.assert_allclose(found[i, h].detach().cpu(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_only_the_paper_s_form_treats_query_and_key_alike(evidence, options):
    encoding, (m, n) = made(4, **options), (at([0, 3, 9, 41]), at([2, 3, 60, 4, 8]))
    q, k = vectors(4, 4), vectors(5, 4, seed=1)
    scores = encoding.scores(q, k, m, n)
    encoding.position_q, encoding.position_k = encoding.position_k, encoding.position_q
    exchanged = encoding.scores(k, q, n, m).mT
    assert torch.allclose(scores, exchanged) == (options["p2c"] == "paper")
    if options["p2c"] == "paper":
        evidence("relative.deberta.DeBERTa", "law", "exchange of query and key (the paper's form)")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_pair_has_its_score_whoever_else_is_there(options):
    encoding, x, where = made(6, **options), vectors(12, 6), at(range(3, 15))
    whole = encoding.scores(x, x, where, where)
    for rows, columns in itertools.product((slice(0, 5), slice(11, 12), slice(None, None, -2)), repeat=2):
        rows, columns = (torch.arange(12, device=DEVICE)[part] if part.step is None else torch.arange(11, -1, -2, device=DEVICE) for part in (rows, columns))  # fmt: skip
        part = encoding.scores(x[rows], x[columns], where[rows], where[columns])
        torch.testing.assert_close(part, whole[rows][:, columns], rtol=0, atol=1e-12)


@pytest.mark.parametrize("p2c", P2C)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_as_exact_as_its_rounding_allows(evidence, dtype, p2c):
    encoding, q, k = made(8, span=3, p2c=p2c).to(dtype), vectors(6, 8, dtype=dtype), vectors(6, 8, dtype=dtype, seed=1)
    found = encoding.scores(q, k, at(range(6)), at(range(6)))
    tables = arrays(encoding.position_q, encoding.position_k)
    expected = by_loops(*arrays(q, k), *tables, range(6), range(6), span=3, p2c=p2c)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.detach().double().cpu(), expected, rtol=0, atol=20 * torch.finfo(dtype).eps)
    assert made(8, span=3).float().on_scores(q, k, at(range(6)), at(range(6))).dtype == dtype
    evidence("relative.deberta.DeBERTa", "dtype", str(dtype).removeprefix("torch."))


def test_gradients_reach_both_tables_and_both_vectors():
    inputs = [vectors(4, 3, seed=seed).requires_grad_() for seed in range(4)]
    index = index_of(range(4), range(4), 2)
    for p2c in P2C:
        assert torch.autograd.gradcheck(lambda *args, p2c=p2c: disentangled_scores(*args, index, p2c=p2c), inputs)
    encoding = made(3, span=2)
    encoding.scores(inputs[0], inputs[1], at(range(4)), at(range(4))).sum().backward()
    assert encoding.position_q.grad.abs().sum() > 0 and encoding.position_k.grad.abs().sum() > 0
    assert set(encoding.state_dict()) == {"position_q", "position_k"}


@pytest.mark.parametrize("p2c", P2C)
def test_scores_of_unit_variance_have_unit_variance(p2c):
    q, k, tables = vectors(300, 48), vectors(300, 48, seed=1), vectors(2, 600, 48, seed=2)
    scores = disentangled_scores(q, k, *tables, index_of(range(300), range(300), 300), p2c=p2c)
    assert abs(scores.var().item() - 1) < 0.1
    assert made(48, span=300).position_q.std().item() == pytest.approx(1, abs=0.02)


def test_far_distances_cannot_be_told_apart_and_the_ends_are_not_alike():
    encoding, q, k = made(4, span=3), vectors(1, 4), vectors(1, 4, seed=1)
    score = {r: encoding.scores(q, k, at([r + 100]), at([100])).item() for r in range(-6, 7)}
    # content-to-position cannot tell 2 from 3, position-to-content can; beyond 3 and −3 nothing can
    assert score[3] == score[4] == score[6] and score[-3] == score[-4] == score[-6]
    assert len({score[r] for r in range(-3, 4)}) == 7


def test_with_buckets_row_0_is_not_read_below_the_maximum():
    r = torch.arange(-511, 512)
    rows = relative_index(bucket(r, num_buckets=256, max_position=512), span=256)
    assert rows.min() == 1 and rows.max() == 511
    assert relative_index(bucket(torch.tensor([-512]), num_buckets=256, max_position=512), span=256) == 0


def test_the_released_form_is_the_paper_s_with_the_table_read_backwards():
    span, q, k = 5, vectors(12, 4), vectors(12, 4, seed=1)
    table_q, table_k = vectors(2, 10, 4, seed=2)
    backwards = torch.stack([table_q[9], *(table_q[10 - i] for i in range(1, 10))])
    index = index_of(range(12), range(12), span)
    released = disentangled_scores(q, k, table_q, table_k, index, p2c="released")
    paper = disentangled_scores(q, k, backwards, table_k, index)
    same = (released - paper).abs() < 1e-12
    expected = torch.tensor([[m - n > -span for n in range(12)] for m in range(12)], device=DEVICE)
    assert torch.equal(same, expected)


def test_a_row_outside_the_tables_is_an_index_error_that_names_it():
    x, table = vectors(3, 4), vectors(8, 4)
    for bad in (-1, 8, 100):
        index = torch.full((3, 3), 2, device=DEVICE)
        index[1, 2] = bad
        with pytest.raises(IndexError, match=rf"\bindex must .* 7\b.*, got {bad}\b"):
            disentangled_scores(x, x, table, table, index)
        with pytest.raises(IndexError, match=rf"\breversed_index must .*, got {bad}\b"):
            disentangled_scores(x, x, table, table, index.clamp(0, 7), reversed_index=index)


x, table, index = torch.ones(3, 4), torch.ones(8, 4), torch.ones(3, 3, dtype=torch.int64)
layer, where = DeBERTa(4, span=4), torch.arange(3)
bad_shape = st.sampled_from([(3, 5), (2, 3, 4), (3, 0)]).map(torch.ones)
bad_table = st.sampled_from([(8, 5), (7, 4), (0, 4), (2, 8, 4), (4,)]).map(torch.ones)
bad_index = st.one_of(
    not_integers, st.sampled_from([(3,), (3, 4), (2, 3), (1, 3), (2, 3, 3)]).map(lambda shape: torch.ones(shape).long())
)
misplaced = st.sampled_from([torch.arange(2), torch.arange(4), torch.tensor(1), torch.arange(6).view(2, 3)])
another_dtype = st.just(x.double())
bad_switch = st.one_of(st.floats(), st.booleans(), st.just("8"), st.just(1))
no_room = st.one_of(bad_count, st.integers(-3, 5))

REFUSED = [
    ("distance", not_integers, lambda bad: bucket(bad, num_buckets=8, max_position=32)),
    ("distance", not_integers, lambda bad: bucket(bad, num_buckets=-1, max_position=-1)),
    ("num_buckets", bad_switch, lambda bad: bucket(where, num_buckets=bad, max_position=32)),
    ("num_buckets", bad_switch, lambda bad: DeBERTa(4, span=4, num_buckets=bad, max_position=32)),
    ("max_position", no_room, lambda bad: bucket(where, num_buckets=8, max_position=bad)),
    ("max_position", no_room, lambda bad: DeBERTa(4, span=4, num_buckets=8, max_position=bad)),
    ("distance", not_integers, lambda bad: relative_index(bad, span=3)),
    ("span", bad_count, lambda bad: relative_index(where, span=bad)),
    ("span", bad_count, lambda bad: DeBERTa(4, span=bad)),
    ("dim", bad_count, lambda bad: DeBERTa(bad, span=4)),
    ("p2c", not_one_of(P2C), lambda bad: DeBERTa(4, span=4, p2c=bad)),
    ("p2c", not_one_of(P2C), lambda bad: disentangled_scores(x, x, table, table, index, p2c=bad)),
    ("q", st.one_of(bad_vectors, bad_shape), lambda bad: disentangled_scores(bad, x, table, table, index)),
    ("k", st.one_of(bad_vectors, bad_shape, another_dtype), lambda bad: disentangled_scores(x, bad, table, table, index)),
    ("position_q", st.one_of(bad_vectors, bad_table, another_dtype), lambda bad: disentangled_scores(x, x, bad, table, index)),
    ("position_q", st.just(torch.ones(3, 8, 4)), lambda bad: disentangled_scores(torch.ones(2, 3, 4), torch.ones(2, 3, 4), bad, table, index)),
    ("position_k", st.one_of(bad_vectors, bad_table, another_dtype), lambda bad: disentangled_scores(x, x, table, bad, index)),
    ("index", bad_index, lambda bad: disentangled_scores(x, x, table, table, bad)),
    ("reversed_index", bad_index.filter(lambda bad: bad is not None), lambda bad: disentangled_scores(x, x, table, table, index, reversed_index=bad)),
    ("q", st.one_of(bad_vectors, bad_shape), lambda bad: layer.scores(bad, x, where, where)),
    ("k", st.one_of(bad_vectors, bad_shape), lambda bad: layer.scores(x, bad, where, where)),
    ("query_positions", st.one_of(not_integers, misplaced), lambda bad: layer.scores(x, x, bad, where)),
    ("key_positions", st.one_of(not_integers, misplaced), lambda bad: layer.scores(x, x, where, bad)),
]  # fmt: skip


test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_two_tables_alike_must_still_have_an_even_number_of_rows(untyped, rows):
    tables = torch.ones(2, rows, 4)
    with pytest.raises(ValueError, match="^position_q must have 2·span rows, an even number"):
        disentangled_scores(torch.ones(3, 4), torch.ones(3, 4), *tables, torch.zeros(3, 3, dtype=torch.int64))


def test_a_vector_has_at_least_one_number_but_there_may_be_no_query(untyped):
    for queries, dim in ((3, 1), (0, 4), (0, 1)):
        at = torch.zeros(queries, 3, dtype=torch.int64)
        q, k, tables = torch.ones(2, queries, dim), torch.ones(2, 3, dim), torch.ones(2, 2, dim)
        assert disentangled_scores(q, k, *tables, at, reversed_index=at).shape == (2, queries, 3)
    with pytest.raises(ValueError, match="^q must have as many columns as q, at least 1"):
        disentangled_scores(torch.ones(3, 0), torch.ones(3, 0), *torch.ones(2, 2, 0), torch.zeros(3, 3).long())


def test_without_buckets_the_distance_is_returned_as_a_new_tensor():
    distance = torch.arange(3)
    bucket(distance, num_buckets=None, max_position=None).add_(1)
    assert distance.tolist() == [0, 1, 2]


def test_the_least_int64_has_the_bucket_of_a_far_distance():
    least = torch.tensor([-(2**63), 1 - 2**63])
    first, second = bucket(least, num_buckets=8, max_position=64).tolist()
    assert first == second < -7


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("row", "n − m", ("m - n", "n - m"), "agreement fails"),
    ("row", "Shaw's clip", ("S - 1", "S"), "agreement fails"),
    ("row", "a fair clip", ("-S, S", "1 - S, S"), "agreement fails"),
    ("row", "not clipped", ("np.clip(m - n, -S, S - 1)", "(m - n)"), "agreement fails"),
    ("row", "counted from 1", ("+ S", "+ S + 1"), "agreement fails"),
    ("log_bucket", "rounded down", ("np.ceil", "np.floor"), "agreement fails"),
    ("log_bucket", "up to M", ("(M - 1)", "M"), "agreement fails"),
    ("log_bucket", "b steps", ("* (b - 1)", "* b"), "agreement fails"),
    ("log_bucket", "sign lost", ("np.sign(r)", "1"), "agreement fails"),
    ("log_bucket", "never exact", ("abs(r) <= b", "False"), "agreement fails|It stopped with"),
    ("log_bucket", "exact up to B", ("abs(r) <= b", "abs(r) <= B"), "agreement fails"),
    ("position_to_content", "the released row", ("n - m[:, None]", "m[:, None] - n"), "agreement fails"),
    ("position_to_content", "absolute rows", ("n - m[:, None]", "n + 0 * m[:, None]"), "shift invariance fails"),
    ("position_to_content", "a fair clip", ("-S, S", "1 - S, S"), "agreement fails"),
    ("position_to_content", "not transposed", ("n - m[:, None]", "n[:, None] - m"), "shift invariance fails|stopped with"),
    ("position_to_content", "along the wrong axis", ("axis=0", "axis=1"), "stopped with|fails"),
    ("convert", "merely flipped", ("np.concatenate([Q[-1:], Q[:0:-1]])", "Q[::-1]"), "agreement fails"),
    ("convert", "rolled the other way", ("[Q[-1:], Q[:0:-1]]", "[Q[-2::-1], Q[-1:]]"), "agreement fails"),
    ("convert", "row 0 kept", ("Q[-1:]", "Q[:1]"), "agreement fails"),
    ("convert", "left as it is", ("np.concatenate([Q[-1:], Q[:0:-1]])", "Q"), "agreement fails"),
]  # fmt: skip
