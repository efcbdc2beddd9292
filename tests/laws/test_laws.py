"""Every law can fail: it finds a known violator, and explains it with numbers."""

import itertools

import numpy as np
import pytest
import torch

from posemb_ref import laws
from posemb_ref.attention import Encoding
from posemb_ref.rotary.rope import Rotary

DIM = 4


def turn(x, angle):
    """Turn the two halves of each row into each other."""
    a, b = x.chunk(2, -1)
    cos, sin = angle.to(x.dtype)[:, None].cos(), angle.to(x.dtype)[:, None].sin()
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


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


def plain(q, k, m, n):
    return q @ k.mT / 2


TRANSFORMATIONS = {
    "right": turn,
    "counted from 1": lambda x, m: turn(x, m + 1),
    "one half forgotten": lambda x, m: torch.cat((x[:, : DIM // 2], 0 * x[:, DIM // 2 :]), -1),
    "grows with the position": lambda x, m: x * 1.0001 ** m[:, None],
    "angle with the square of the position": lambda x, m: turn(x, m * m.abs()),
    "angle with the length of the vector": lambda x, m: turn(x, m * x.norm(dim=-1)),
    "angle with the length of the sequence": lambda x, m: turn(x, m * len(x)),
    "added": lambda x, m: x + m.clamp(min=0)[:, None],
    "wrong on the way back": lambda x, m: x + (turn(x, m) - x).detach(),
}
SCORES = {
    "right": plain,
    "other far away": lambda q, k, m, n: plain(q, k, m, n) * (1 - (m > 5000)[:, None] / 2),
    "other for one pair": lambda q, k, m, n: plain(q, k, m, n) * (1 - (m == 8)[:, None] * (n == 8) / 2),
    "larger": lambda q, k, m, n: 100 * plain(q, k, m, n),
}
LAYERS = {
    "right": lambda x: 2 * x,
    "sees order": lambda x: x.cumsum(0),
    "sees what comes": lambda x: x - x.mean(0),
}
KINDS = [
    (
        TRANSFORMATIONS,
        (
            laws.identity_at_zero,
            laws.norm_preservation,
            laws.composition,
            laws.linearity,
            laws.locality,
            laws.inverse_gradient,
        ),
    ),
    (SCORES, (laws.shift_invariance, laws.toeplitz, laws.boundedness)),
    (LAYERS, (laws.permutation_equivariance, laws.causality)),
]


@pytest.mark.parametrize(("subjects", "kind"), KINDS)
def test_no_law_of_a_kind_is_superfluous(subjects, kind):
    """Of any two laws, the first sees something wrong that the second does not."""
    seen = {name: {law for law in kind if law(subject, dim=DIM)} for name, subject in subjects.items()}
    assert seen.pop("right") == set()
    for law, other in itertools.permutations(kind, 2):
        assert any(law in found and other not in found for found in seen.values()), (law, other)


VIOLATORS = [
    (laws.identity_at_zero, lambda x, positions: x + 1),
    (laws.norm_preservation, stretch),
    (laws.norm_preservation, nan),
    (laws.composition, lambda x, positions: x * (positions[:, None] ** 2)),
    (laws.linearity, add),
    (laws.locality, mean_pool),
    (laws.locality, lambda x, positions: keep(x, positions)[:, :-1] + len(x)),
    (laws.inverse_gradient, stretch),
    (laws.shift_invariance, laws.scores_of(add)),
    (laws.toeplitz, laws.scores_of(stretch)),
    (laws.boundedness, laws.scores_of(stretch)),
    (laws.prefix_invariance, lambda x: x @ x.mT * torch.arange(len(x))),
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


def test_causality_finds_a_chunk_that_sees_to_its_end():
    chunked = lambda x: torch.cat([x[:64].cumsum(0), x[64:] + x[64:].sum(0)])  # noqa: E731
    assert "when rows are appended to 65" in str(laws.causality(chunked, dim=DIM))


def test_prefix_invariance_is_about_keys_that_a_query_may_see():
    assert laws.prefix_invariance(lambda x: x @ x.mT + torch.ones(len(x), len(x)).triu(1) * len(x), dim=DIM) is None


@pytest.mark.parametrize("far", [-64, -(2**20)])
def test_boundedness_looks_far_into_both_directions(far):
    scores = lambda q, k, m, n: q @ k.mT * (1 + 99 * (m[:, None] - n == far))  # noqa: E731
    assert f"at distances around {far}" in str(laws.boundedness(scores, dim=DIM))


def prefix_sums(x, y, m, n):
    return m[:, None] * y.cumsum(0)[-len(x) :]


def test_cached_equals_uncached_finds_a_cache_not_read_and_an_offset_ignored():
    unread = laws.cached_equals_uncached(lambda x, y, m, n: prefix_sums(x, x, m, n), dim=DIM)
    from_zero = laws.cached_equals_uncached(lambda x, y, m, n: prefix_sums(x, y, torch.arange(len(x)), n), dim=DIM)
    assert laws.cached_equals_uncached(prefix_sums, dim=DIM) is None
    for broken in (unread, from_zero):
        assert str(broken).startswith("cached equals uncached fails for the token at position 1, with 1 before it")


def attending(scale=1.0, accumulate=None):
    """Causal attention with scores multiplied only at the end, or in another dtype."""

    def attend(x, y, m, n):
        scores = (x @ y.mT * scale).masked_fill(m[:, None] < n, -torch.inf)
        work = x.dtype if accumulate is None or x.dtype == torch.float64 else accumulate
        return (scores.to(work).softmax(-1) @ y.to(work)).to(x.dtype)

    return attend


def test_attention_parity_finds_scores_that_overflow_and_rough_sums():
    scaled_before = laws.layer_attention(Encoding(), dim=DIM)
    for dtype in (torch.float16, torch.bfloat16):
        assert laws.attention_parity(scaled_before, dim=DIM, dtype=dtype) is None
    late = laws.attention_parity(attending(DIM**-0.5), dim=DIM, dtype=torch.float16)
    assert "for tokens of length 100 √dim in torch.float16: expected 1, found 0" in str(late)
    rough = laws.attention_parity(attending(DIM**-0.5, torch.bfloat16), dim=DIM, dtype=torch.float32)
    assert str(rough).startswith("attention parity fails for tokens in torch.float32 in entry")
    assert laws.cached_equals_uncached(attending(DIM**-0.5), dim=DIM) is None


def test_cached_decoding_finds_a_cache_forgotten_and_one_left_in_another_order():
    right = laws.cached_decoder(Rotary(DIM), dim=DIM)
    assert laws.cached_decoding(right, dim=DIM) is None
    for wrong in (
        lambda x, cache: right(x, None),
        lambda x, cache: right(x, cache and [(k[:, 1:], v[:, 1:], n[1:]) for k, v, n in cache]),
        lambda x, cache: right(x, cache and [(k.flip(1), v, n) for k, v, n in cache]),
    ):
        assert str(laws.cached_decoding(wrong, dim=DIM)).startswith("cached decoding fails for chunks of 1, 1, 1, 1")


def test_cached_decoding_finds_what_only_a_second_layer_shows():
    right = laws.cached_decoder(Rotary(DIM), dim=DIM)
    assert laws.cached_decoding(lambda x, cache: right(x, cache and [cache[0]] * 2), dim=DIM) is not None


def test_split_invariance_finds_tokens_that_see_another_document():
    def packed(x, lengths, hidden=True):
        document = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        other = document[:, None] != document if hidden else torch.zeros(len(x), len(x), dtype=torch.bool)
        return (x @ x.mT).masked_fill(other, -torch.inf).softmax(-1) @ x

    assert laws.split_invariance(packed, dim=DIM) is None
    broken = laws.split_invariance(lambda x, lengths: packed(x, lengths, hidden=False), dim=DIM)
    assert str(broken).startswith("split invariance fails for documents of 4, 1, 5 tokens in entry (")


def test_agreement_up_to_rows_forgives_one_number_per_row_and_no_other():
    scores = torch.tensor([[0.0, 3.0, -torch.inf], [1.0, 1.0, 2.0]])
    for added, same in (([[5.0], [-7.0]], True), ([[0.0, 0.0, 1.0]], False)):
        found = laws.agreement_up_to_rows(
            lambda added=added: scores + torch.tensor(added), reference=lambda: scores, cases=[()]
        )
        assert (found is None) == same
    assert laws.agreement(lambda: scores + 1, reference=lambda: scores, cases=[()]) is not None


def test_injectivity_finds_two_offsets_with_one_row():
    offsets = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    assert laws.injectivity(lambda row, column: 3 * (row + 1) + column + 1, cases=offsets) is None
    broken = laws.injectivity(lambda row, column: 2 * (row + 1) + column + 1, cases=offsets)
    assert str(broken) == (
        "injectivity fails for the input (-1, 1) and for the input (0, -1): expected different answers, found 2 twice"
    )


def test_history_finds_an_answer_that_another_call_has_changed():
    kept = []
    assert laws.history(abs, cases=[(-1,), (2,)]) is None
    counted = laws.history(lambda value: kept.append(value) or len(kept), cases=[(1,), (2,)])
    assert str(counted) == "history fails for the input (2), asked again: expected 2, found 3"


def test_dtype_parity_finds_positions_in_half_precision_and_a_changed_dtype():
    broken = laws.dtype_parity(low_precision_positions, dim=DIM, dtype=torch.bfloat16)
    assert broken is not None
    widened = laws.dtype_parity(lambda x, positions: x.double(), dim=DIM, dtype=torch.bfloat16)
    assert (widened.expected, widened.found) == (torch.bfloat16, torch.float64)


def test_device_parity_finds_an_answer_on_the_wrong_device():
    broken = laws.device_parity(lambda x, positions: x.to("meta"), dim=DIM, device=torch.device("cpu"))
    assert (broken.expected, broken.found) == ("cpu", "meta")


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
