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


def in_place(x, positions):
    return x.mul_(positions[:, None] + 1)


@pytest.mark.parametrize(
    "law", [laws.identity_at_zero, laws.norm_preservation, laws.composition, laws.linearity, laws.locality]
)
def test_a_law_sees_what_is_done_in_place(law):
    assert law(in_place if law is not laws.identity_at_zero else lambda x, p: x.add_(1), dim=DIM) is not None


def test_what_changes_its_input_is_refused_and_told_so():
    def doubled(x):
        x *= 2
        return x / 2

    case = np.ones(2)
    broken = laws.agreement(doubled, reference=lambda x: x, cases=[(case,)])
    assert str(broken) == (
        "agreement (input) fails since argument 1 was changed in place in entry (0,): expected 1, found 2"
    )
    assert case.tolist() == [1, 1]
    broken = laws.norm_preservation(laws.rowwise(lambda row, position: doubled(row)), dim=DIM)
    assert str(broken).startswith("norm preservation (input) fails since argument 1 was changed in place")


@pytest.mark.parametrize("nothing", [float("nan"), float("-inf")])
def test_an_input_left_as_it_is_may_hold_what_no_number_equals(nothing):
    cases = [(torch.tensor([1.0, nothing]),)]
    assert laws.agreement(lambda x: x[0], reference=lambda x: x[0], cases=cases) is None


@pytest.mark.parametrize(
    ("law", "answer"),
    [
        (laws.shift_invariance, lambda q, k, m, n: torch.zeros(1)),
        (laws.toeplitz, lambda q, k, m, n: torch.zeros(2, 2)),
        (laws.boundedness, lambda q, k, m, n: torch.zeros(())),
        (laws.norm_preservation, lambda x, positions: x.norm(dim=-1)),
        (laws.linearity, lambda x, positions: x.sum(0)),
        (laws.locality, lambda x, positions: x[:, 0]),
        (laws.causality, lambda x: x[:0]),
        (laws.cached_equals_uncached, lambda x, y, m, n: y),
        (laws.permutation_equivariance, lambda x: torch.zeros(10)),
    ],
)
def test_a_law_looks_at_the_shape_of_what_comes_back(law, answer):
    broken = law(answer, dim=DIM)
    assert str(broken).split(" fails for inputs of shape ")[0].endswith(" (shape)")


def test_minus_infinity_is_minus_infinity_and_nothing_else():
    def masked(*rows):
        return lambda: torch.tensor(rows)

    hidden = masked(0.0, -torch.inf)
    assert laws.agreement(hidden, reference=hidden, cases=[()]) is None
    for other in (masked(0.0, 1.0), masked(0.0, torch.inf), masked(0.0, torch.nan)):
        assert laws.agreement(other, reference=hidden, cases=[()]) is not None
    nan = masked(torch.nan)
    assert laws.agreement(nan, reference=nan, cases=[()]) is not None


def test_bfloat16_and_booleans_can_be_compared():
    third = torch.tensor([1 / 3])
    broken = laws.agreement(lambda: third.bfloat16(), reference=lambda: third, cases=[()])
    assert str(broken) == "agreement fails for the input () in entry (0,): expected 0.333333, found 0.333984"
    assert laws.agreement(lambda: True, reference=lambda: True, cases=[()]) is None
    assert laws.agreement(lambda: True, reference=lambda: False, cases=[()]) is not None


def test_agreement_needs_a_case():
    with pytest.raises(ValueError, match="^cases must hold one case or more"):
        laws.agreement(abs, reference=abs, cases=[])


def test_the_message_of_boundedness_has_the_scale():
    assert "below 0.5 ‖q‖ ‖k‖:" in str(laws.boundedness(laws.scores_of(stretch), dim=DIM, scale=0.5)).replace(
        " in entry", ": in entry"
    )
