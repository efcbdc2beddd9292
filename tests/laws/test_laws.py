"""Every law can fail: it finds a known violator, and explains it with numbers."""

import numpy as np
import pytest
import torch

from posemb_ref import laws

DIM = 4


def add(x, positions):
    return x + positions[:, None].to(x.dtype)


def stretch(x, positions):
    return x * (1 + positions[:, None].to(x.dtype))


def keep(x, positions):
    return x


def mean_pool(x, positions):
    return x - x.mean(0)


def low_precision_positions(x, positions):
    return x * positions.to(x.dtype).double().cos()[:, None].to(x.dtype)


def nan(x, positions):
    return x * float("nan")


VIOLATORS = [
    (laws.identity_at_zero, lambda x, positions: x + 1),
    (laws.norm_preservation, stretch),
    (laws.norm_preservation, nan),
    (laws.composition, lambda x, positions: x * (positions[:, None] ** 2)),
    (laws.linearity, add),
    (laws.locality, mean_pool),
    (laws.locality, lambda x, positions: keep(x, positions)[:, :-1] + len(x)),
    (laws.shift_invariance, laws.scores_of(add)),
    (laws.toeplitz, laws.scores_of(stretch)),
    (laws.boundedness, laws.scores_of(stretch)),
]


@pytest.mark.parametrize(("law", "subject"), VIOLATORS)
def test_a_law_finds_its_violator_and_says_so_with_numbers(law, subject):
    broken = law(subject, dim=DIM)
    assert broken is not None
    assert broken.law.lower().startswith(law.__name__.split("_")[0])
    assert (
        str(broken)
        == f"{broken.law} fails {broken.where}: expected {show(broken.expected)}, found {show(broken.found)}"
    )


def show(value):
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def test_permutation_equivariance_finds_a_layer_that_sees_order():
    assert laws.permutation_equivariance(lambda x: x.cumsum(0), dim=DIM) is not None
    assert laws.permutation_equivariance(lambda x: x - x.mean(0), dim=DIM) is None


def test_causality_finds_a_layer_that_sees_what_comes():
    assert laws.causality(lambda x: x.cumsum(0), dim=DIM) is None
    for layer in (lambda x: x - x.mean(0), lambda x: x.roll(-1, 0)):
        broken = laws.causality(layer, dim=DIM)
        assert str(broken).startswith("causality fails when the rows from 1 on change in entry (0, ")


def prefix_sums(x, y, m, n):
    return m[:, None] * y.cumsum(0)[-len(x) :]


def test_cached_equals_uncached_finds_a_cache_not_read_and_an_offset_ignored():
    unread = laws.cached_equals_uncached(lambda x, y, m, n: prefix_sums(x, x, m, n), dim=DIM)
    from_zero = laws.cached_equals_uncached(lambda x, y, m, n: prefix_sums(x, y, torch.arange(len(x)), n), dim=DIM)
    assert laws.cached_equals_uncached(prefix_sums, dim=DIM) is None
    for broken in (unread, from_zero):
        assert str(broken).startswith("cached equals uncached fails for the token at position 1, with 1 before it")


def test_dtype_parity_finds_positions_in_half_precision_and_a_changed_dtype():
    broken = laws.dtype_parity(low_precision_positions, dim=DIM, dtype=torch.bfloat16)
    assert broken is not None
    widened = laws.dtype_parity(lambda x, positions: x.double(), dim=DIM, dtype=torch.bfloat16)
    assert (widened.expected, widened.found) == (torch.bfloat16, torch.float64)


def test_device_parity_finds_an_answer_on_the_wrong_device():
    broken = laws.device_parity(lambda x, positions: x.to("meta"), dim=DIM, device=torch.device("cpu"))
    assert broken.found == torch.device("meta")


def test_agreement_finds_an_answer_remembered_from_another_case():
    kept = {}
    right = laws.agreement(lambda a, b: a**b, reference=pow, cases=[(2.0, 3.0), (2.0, 4.0)])
    stale = laws.agreement(lambda a, b: kept.setdefault(a, a**b), reference=pow, cases=[(2.0, 3.0), (2.0, 4.0)])
    assert right is None
    assert str(stale) == "agreement fails for the input (2, 4): expected 16, found 8"


def test_another_shape_is_a_counterexample():
    broken = laws.identity_at_zero(lambda x, positions: x[:, :1], dim=DIM)
    assert (broken.expected, broken.found) == ((3, DIM), (3, 1))


def test_rowwise_lifts_a_function_of_one_vector():
    lifted = laws.rowwise(lambda x, position: np.asarray(x) * position)
    assert lifted(torch.ones(2, 3), torch.tensor([2, 5])).tolist() == [[2.0] * 3, [5.0] * 3]


def test_the_identity_obeys_every_law_of_transformations():
    for law in (laws.identity_at_zero, laws.norm_preservation, laws.composition, laws.linearity, laws.locality):
        assert law(keep, dim=DIM) is None
