"""posemb_ref.rotary.decay against eqs. (35)–(37) written as loops, and against the scores that it bounds."""

import cmath

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from posemb_ref.rotary.decay import abel_bound
from posemb_ref.rotary.rope import rotation_matrix
from tests.wrong_input import bad_base, bad_positions, not_a_tensor, not_floats, trials


def vectors(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def by_loops(q, k, r, base=10000.0):
    d = len(q)
    h = [complex(q[2 * i], q[2 * i + 1]) * complex(k[2 * i], k[2 * i + 1]).conjugate() for i in range(d // 2)] + [0]
    largest = max(abs(h[i + 1] - h[i]) for i in range(d // 2))
    total, S = 0.0, 0
    for i in range(d // 2):
        S += cmath.exp(1j * r * base ** (-2 * i / d))
        total += abs(S)
    return largest * total


@pytest.mark.parametrize("dim", [2, 4, 10, 64])
@pytest.mark.parametrize("base", [10000.0, 500000.0, 3.0])
def test_it_is_equation_37(dim, base):
    q, k, distances = vectors(dim), vectors(dim, seed=1), [0, 1, -1, 17, 4097, 100_000]
    found = abel_bound(q, k, torch.tensor(distances), base=base)
    expected = [by_loops(q.tolist(), k.tolist(), r, base) for r in distances]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
@pytest.mark.parametrize("shape", [(), (5,), (2, 4)])
def test_vectors_and_distances_may_have_any_axes(batch, shape):
    q, k = vectors(*batch, 6), vectors(*batch, 6, seed=1)
    distances = torch.arange(int(np.prod(shape))).reshape(shape)
    found = abel_bound(q, k, distances)
    assert found.shape == (*batch, *shape)
    for index in np.ndindex(*batch):
        for place in np.ndindex(*shape):
            expected = by_loops(q[index].tolist(), k[index].tolist(), distances[place].item())
            assert found[index + place].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_no_score_exceeds_it(evidence, seed):
    q, k = vectors(12, seed=seed), vectors(12, seed=100 + seed)
    for r in (0, 1, 9, 300):
        score = (rotation_matrix(r, 12) @ q) @ k
        assert abs(score) <= abel_bound(q, k, torch.tensor(r)) + 1e-12
    evidence("rotary.decay.abel_bound", "law", "no score exceeds it")


def test_it_is_reached_by_equal_pairs_whose_sums_are_the_score():
    one = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert abel_bound(one, one, torch.tensor(5)).item() == pytest.approx(1.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_bounded_in_float64(dtype):
    q, k = vectors(8, dtype=dtype), vectors(8, seed=1, dtype=dtype)
    far = 2**24 + 1  # not a float32
    found = abel_bound(q, k, torch.tensor([far]))
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(by_loops(q.double().tolist(), k.double().tolist(), far), rel=1e-7)


good, at = torch.ones(4), torch.arange(3)
bad_vector = st.one_of(
    not_a_tensor, not_floats, st.sampled_from([torch.ones(()), torch.ones(3), torch.ones(0), good * torch.nan])
)
REFUSED = [
    ("q", bad_vector, lambda bad: abel_bound(bad, good, at)),
    ("k", bad_vector, lambda bad: abel_bound(good, bad, at)),
    ("k", st.sampled_from([torch.ones(6), torch.ones(2, 4)]), lambda bad: abel_bound(good, bad, at)),
    ("q", st.sampled_from([torch.ones(3), torch.ones(0), torch.ones(())]), lambda bad: abel_bound(bad, bad, at)),
    ("distance", bad_positions, lambda bad: abel_bound(good, good, bad)),
    ("base", bad_base, lambda bad: abel_bound(good, good, at, base=bad)),
]  # fmt: skip


test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("sum_of_sums", "the sum of the last only", ("np.cumsum(np.exp(1j * r * theta))", "np.exp(1j * r * theta).sum()"), "agreement fails"),
    ("sum_of_sums", "real parts only", ("np.exp(1j * r * theta)", "np.cos(r * theta)"), "agreement fails"),
    ("sum_of_sums", "base ignored", ("base **", "10000.0 **"), "agreement fails"),
    ("sum_of_sums", "exponent i/d", ("-2 * np", "-1 * np"), "agreement fails"),
    ("recurrence", "any clock will do", ("while max(", "while min("), "agreement fails"),
    ("recurrence", "begins at 0", ("tau = 1\n", "tau = 0\n"), "expected .* found 0"),
    ("recurrence", "looks at the real part", ("abs(np.exp(1j * tau * speed) - 1)", "1 - np.cos(tau * speed)"), "agreement fails"),
    ("expected_score", "turned the wrong way", ("return score(mean_q, mean_k, r)", "return score(mean_q, mean_k, -r)"), "agreement fails"),
    ("expected_score", "distance forgotten", ("return score(mean_q, mean_k, r)", "return score(mean_q, mean_k, 0)"), "agreement fails"),
    ("expected_score", "squared lengths", ("return score(mean_q, mean_k, r)", "return score(mean_q, mean_q, r)"), "agreement fails"),
    ("expected_score", "doubled", ("return score", "return 2 * score"), "agreement fails"),
]  # fmt: skip
