"""posemb_ref.rotary.linear_attention against eq. (19) written as loops, and what it must leave alone."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from posemb_ref.rotary.linear_attention import linear_attention
from posemb_ref.rotary.rope import frequencies, tables
from tests.common import Watch
from tests.wrong_input import bad_vectors, trials

DIM = 6


def rows(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def rotation(positions, dtype=torch.float64):
    return tables(torch.as_tensor(positions), frequencies(DIM), dtype=dtype)


def phi(x):
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))


def turned(x, position):
    out = x.copy()
    for i in range(DIM // 2):
        angle = position * 10000.0 ** (-2 * i / DIM)
        out[2 * i] = x[2 * i] * np.cos(angle) - x[2 * i + 1] * np.sin(angle)
        out[2 * i + 1] = x[2 * i + 1] * np.cos(angle) + x[2 * i] * np.sin(angle)
    return out


def by_loops(q, k, v, positions=None, causal=False):
    """Equation (19), one query and one key at a time."""
    out = np.zeros((len(q), v.shape[-1]))
    for m in range(len(q)):
        below = 0.0
        for n in range(len(k)):
            if causal and n > m:
                continue
            a, b = phi(q[m]), phi(k[n])
            below += a @ b
            if positions is not None:
                a, b = turned(a, positions[m]), turned(b, positions[n])
            out[m] += (a @ b) * v[n]
        out[m] /= below
    return out


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("offset", [None, 0, -3, 1000])
@pytest.mark.parametrize("length", [1, 2, 9, 150])
def test_it_is_equation_19(length, offset, causal):
    q, k, v = rows(length, DIM), rows(length, DIM, seed=1), rows(length, 4, seed=2)
    at = None if offset is None else np.arange(length) + offset
    found = linear_attention(q, k, v, rotation=None if at is None else rotation(at), causal=causal)
    np.testing.assert_allclose(found, by_loops(*(x.numpy() for x in (q, k, v)), at, causal), atol=1e-12)


def test_without_rotation_and_mask_there_may_be_more_keys_than_queries():
    q, k, v = rows(3, DIM), rows(7, DIM, seed=1), rows(7, 4, seed=2)
    np.testing.assert_allclose(linear_attention(q, k, v), by_loops(*(x.numpy() for x in (q, k, v))), atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("batch", [(2,), (2, 3)])
def test_leading_axes_are_independent(batch, causal):
    q, k, v = rows(*batch, 5, DIM), rows(*batch, 5, DIM, seed=1), rows(*batch, 5, 4, seed=2)
    found = linear_attention(q, k, v, rotation=rotation(range(5)), causal=causal)
    for index in np.ndindex(*batch):
        alone = by_loops(*(x[index].numpy() for x in (q, k, v)), np.arange(5), causal)
        np.testing.assert_allclose(found[index], alone, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shift", [1, -7, 100_000])
def test_only_distances_matter(evidence, shift, causal):
    q, k, v = rows(6, DIM), rows(6, DIM, seed=1), rows(6, 4, seed=2)
    here, there = (linear_attention(q, k, v, rotation=rotation(np.arange(6) + s), causal=causal) for s in (0, shift))
    torch.testing.assert_close(here, there, rtol=0, atol=1e-9)
    evidence("rotary.linear_attention.linear_attention", "law", "shift invariance")


def test_the_causal_form_does_not_see_the_future(evidence):
    q, k, v = rows(6, DIM), rows(6, DIM, seed=1), rows(6, 4, seed=2)
    before = linear_attention(q, k, v, rotation=rotation(range(6)), causal=True)
    k[4:], v[4:] = 5.0, -3.0
    after = linear_attention(q, k, v, rotation=rotation(range(6)), causal=True)
    torch.testing.assert_close(before[:4], after[:4], rtol=0, atol=1e-12)
    assert (before[4:] - after[4:]).abs().max() > 0.1
    evidence("rotary.linear_attention.linear_attention", "law", "causality")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_summed_in_float32_and_rounded_once(evidence, dtype):
    q, k, v = rows(400, DIM, dtype=dtype), rows(400, DIM, seed=1, dtype=dtype), rows(400, 4, seed=2, dtype=dtype)
    found = linear_attention(q, k, v, rotation=rotation(range(400), torch.float32), causal=True)
    exact = by_loops(*(x.double().numpy() for x in (q, k, v)), np.arange(400), True)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.double(), exact, rtol=torch.finfo(dtype).eps, atol=2e-6)
    evidence("rotary.linear_attention.linear_attention", "dtype", str(dtype)[6:])


def test_very_negative_features_keep_their_digits():
    q, k, v = rows(3, DIM) - 40, rows(3, DIM, seed=1), rows(3, 4, seed=2)
    expected = by_loops(*(x.numpy() for x in (q, k, v)))
    np.testing.assert_allclose(linear_attention(q.float(), k.float(), v.float()), expected, rtol=1e-4, atol=1e-6)


def test_a_query_without_features_is_refused():
    with pytest.raises(ValueError, match="q and k must leave every query something to divide by"):
        linear_attention(rows(3, DIM).float() - 1000, rows(3, DIM).float(), rows(3, 4).float())


def test_the_largest_tensor_grows_as_the_length():

    def largest(length, causal):
        q, k, v = rows(length, DIM), rows(length, DIM), rows(length, 4)
        with Watch() as watch:
            linear_attention(q, k, v, rotation=rotation(range(length)), causal=causal)
        return max(found.numel() for _, found in watch.seen)

    for causal in (False, True):
        assert largest(512, causal) == 2 * largest(256, causal)


@pytest.mark.parametrize("turned", [False, True])
def test_however_large_the_future_is_nothing_of_it_reaches_the_past(turned):
    q, k, v = rows(300, DIM), rows(300, DIM, seed=1), rows(300, 4, seed=2)
    turn = rotation(range(300)) if turned else None
    before = linear_attention(q, k, v, rotation=turn, causal=True)
    for row in (64, 70, 130, 299):
        later = k.clone()
        later[row:] *= 1e18
        assert torch.equal(linear_attention(q, later, v, rotation=turn, causal=True)[:row], before[:row])


good = torch.ones(3, DIM)
turn = rotation(range(3), torch.float32)
REFUSED = [
    ("q", bad_vectors, lambda bad: linear_attention(bad, good, good)),
    ("k", bad_vectors, lambda bad: linear_attention(good, bad, good)),
    ("v", bad_vectors, lambda bad: linear_attention(good, good, bad)),
    ("q", st.just(good * torch.nan), lambda bad: linear_attention(bad, good, good)),
    ("k", st.just(good * torch.nan), lambda bad: linear_attention(good, bad, good)),
    ("v", st.just(good * torch.nan), lambda bad: linear_attention(good, good, bad)),
    ("v", st.sampled_from([good.double(), torch.ones(4, 2), torch.ones(0, 2)]), lambda bad: linear_attention(good, good, bad)),
    ("k", st.sampled_from([torch.ones(3, 4), torch.ones(2, 3, DIM)]), lambda bad: linear_attention(good, bad, good)),
    ("q and k", st.just(good * 1e19), lambda bad: linear_attention(bad, bad, good)),
    ("q, k and v", st.just(good * 1e30), lambda bad: linear_attention(good, good * 1e10, bad)),
    ("rotation", st.sampled_from([3, (), (turn[0],), torch.ones(2, 3, 3), turn * 2]), lambda bad: linear_attention(good, good, good, rotation=bad)),
    ("rows", st.just(torch.ones(4, DIM)), lambda bad: linear_attention(good, bad, bad, causal=True)),
    ("rows", st.just(torch.ones(4, DIM)), lambda bad: linear_attention(good, bad, bad, rotation=turn)),
    ("cos", st.sampled_from([(torch.ones(2, 3), torch.ones(2, 3)), (torch.ones(3, 4), torch.ones(3, 4)), (1, 2)]), lambda bad: linear_attention(good, good, good, rotation=bad)),
]  # fmt: skip


test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)


@pytest.mark.parametrize("name", ["q", "k", "v"])
@pytest.mark.parametrize("shape", [(0, DIM), (3, 0)])
def test_rows_and_columns_must_be_there_but_a_batch_may_be_empty(untyped, name, shape):
    with pytest.raises(ValueError, match=f"^{name} must have no empty axis"):
        linear_attention(**{"q": good, "k": good, "v": good, name: torch.ones(shape)})
    assert linear_attention(*torch.ones(3, 0, 3, DIM)).shape == (0, 3, DIM)


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("step", "the memory not turned", ("S @ R_1 +", "S +"), "agreement fails"),
    ("step", "turned the other way", ("S @ R_1 +", "S @ R_1.T +"), "agreement fails"),
    ("step", "the new key turned too", ("S = S @ R_1 + np.outer(v, phi(k))", "S = (S + np.outer(v, phi(k))) @ R_1"), "agreement fails"),
    ("step", "no features", ("np.outer(v, phi(k))", "np.outer(v, k)"), "agreement fails"),
    ("step", "output before the update", ("z = z + phi(k)", "z = z + phi(q)"), "agreement fails"),
    ("comes_apart", "sums for differences", ("np.subtract.outer(at, at)", "np.add.outer(at, at)"), "agreement fails"),
    ("comes_apart", "too coarse", ("tol=1e-9", "tol=1e9"), "agreement fails"),
    ("comes_apart", "always", ("ranks[0] == ranks[1]", "True"), "expected 0, found 1"),
    ("comes_apart", "never", ("ranks[0] == ranks[1]", "False"), "expected 1, found 0"),
    ("tame_weights", "the future kept", ("np.tril(a @ b.T)", "a @ b.T"), "agreement fails"),
    ("tame_weights", "signs kept in the sum", ("np.abs(above).sum", "above.sum"), "agreement fails"),
    ("tame_weights", "columns", ("sum(-1, keepdims=True)", "sum(0, keepdims=True)"), "agreement fails"),
    ("tame_weights", "signs lost", ("return above", "return np.abs(above)"), "agreement fails"),
]  # fmt: skip
