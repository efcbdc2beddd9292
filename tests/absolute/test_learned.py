"""posemb_ref.absolute.learned against rows copied out one at a time, and the claims and exercises of its lesson."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from posemb_ref import Absolute, laws
from posemb_ref.absolute.learned import LearnedEncoding
from posemb_ref.lesson.device import lesson_device
from tests.wrong_input import bad_count, not_integers, quick, trials

DEVICE = lesson_device()
SIZES = [(1, 1), (6, 4), (512, 8)]
DTYPES = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]


def table_of(max_positions=6, dim=4, *, seed=0):
    torch.manual_seed(seed)
    return LearnedEncoding(max_positions, dim).to(DEVICE)


def at(positions, dtype=torch.int64):
    return torch.as_tensor(positions, dtype=dtype, device=DEVICE)


def rows_of(encoding, positions):
    """Copy the rows out of the table, number by number."""
    table, positions = encoding.table.detach().cpu().numpy(), np.asarray(positions)
    out = np.empty((*positions.shape, table.shape[1]), dtype=table.dtype)
    for place in np.ndindex(positions.shape):
        for i in range(table.shape[1]):
            out[(*place, i)] = table[int(positions[place]), i]
    return out


@pytest.mark.parametrize("size", SIZES)
def test_the_table_is_the_one_parameter_and_starts_like_bert_s(size):
    encoding = table_of(*size)
    assert {name: value.shape for name, value in encoding.state_dict().items()} == {"table": torch.Size(size)}
    assert encoding.table.requires_grad


def test_the_rows_start_as_normal_numbers_of_deviation_two_hundredths():
    values = table_of(2000, 50).table.detach().double()
    assert values.mean().abs() < 4 * 0.02 / 100_000**0.5
    assert values.std().item() == pytest.approx(0.02, rel=0.02)
    assert (values.abs() > 0.04).double().mean().item() == pytest.approx(0.0455, abs=0.004)  # of a normal distribution
    assert not torch.equal(table_of(seed=1).table, table_of(seed=2).table)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 5), (2, 1, 3)])
def test_each_position_gets_its_row(size, shape):
    encoding = table_of(*size)
    positions = np.random.default_rng(0).integers(0, size[0], shape)
    found = encoding(at(positions))
    assert found.shape == (*shape, size[1])
    np.testing.assert_array_equal(found.detach().cpu(), rows_of(encoding, positions))


@pytest.mark.parametrize("dtype", DTYPES)
def test_positions_of_any_integer_type_are_numbers_and_never_a_mask(dtype):
    encoding = table_of()
    np.testing.assert_array_equal(encoding(at([0, 1, 1, 5], dtype)).detach().cpu(), rows_of(encoding, [0, 1, 1, 5]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_vectors_have_the_type_of_the_table_and_the_sum_that_of_the_tokens(dtype):
    encoding = table_of().to(dtype)
    assert encoding(at([1, 2])).dtype == dtype
    x = torch.randn(2, 4, dtype=torch.float32, device=DEVICE)
    found = Absolute(encoding).at_input(x, at([1, 2]))
    assert found.dtype == torch.float32 and found.device == x.device
    expected = x.cpu().numpy() + rows_of(encoding.float(), [1, 2])
    np.testing.assert_allclose(found.detach().cpu(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("offset", [0, 3, 500])
def test_at_the_first_door_each_token_gets_the_row_of_its_own_position(offset):
    encoding = Absolute(table_of(512, 4).double())
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64, device=DEVICE)  # batch and heads
    positions = np.array([4, 0, 2, 2, 7]) + offset
    expected = x.cpu().numpy() + rows_of(encoding.vectors, positions)
    np.testing.assert_allclose(encoding.at_input(x, at(positions)).detach().cpu(), expected, rtol=0, atol=1e-15)
    ragged = np.stack([positions, positions[::-1]])[:, None]  # each sentence its own
    expected = x.cpu().numpy() + rows_of(encoding.vectors, ragged)
    np.testing.assert_allclose(encoding.at_input(x, at(ragged.copy())).detach().cpu(), expected, rtol=0, atol=1e-15)


def test_several_tables_in_turn_do_not_mix():
    encodings = [table_of(6, 4, seed=seed) for seed in range(3)]
    for encoding in [*encodings, *reversed(encodings)]:
        np.testing.assert_array_equal(encoding(at([3, 0])).detach().cpu(), rows_of(encoding, [3, 0]))
    with torch.no_grad():
        encodings[0].table.add_(1)  # as an optimiser does
    np.testing.assert_array_equal(encodings[0](at([3, 0])).detach().cpu(), rows_of(encodings[0], [3, 0]))


@pytest.mark.parametrize("rows", [1, 6, 512])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_a_position_outside_the_table_is_an_error_that_names_it_and_the_table(rows, shape):
    encoding = table_of(rows, 4)
    for outside in (-1, -rows, -rows - 1, rows, rows + 100):
        positions = torch.zeros(shape, dtype=torch.int64, device=DEVICE)
        positions.view(-1)[-1] = outside
        with pytest.raises(IndexError, match=rf"positions .*\b{rows} rows, 0 to {rows - 1}, got {outside}$"):
            encoding(positions)
    encoding(at([0, rows - 1]))


@quick
@given(rows=st.integers(1, 50), position=st.integers(-60, 60) | st.integers(-(2**40), 2**40))
def test_a_row_or_an_error_and_nothing_else(rows, position):
    encoding = LearnedEncoding(rows, 2)
    if 0 <= position < rows:
        assert torch.equal(encoding(torch.tensor([position]))[0], encoding.table[position])
    else:
        with pytest.raises(IndexError, match=str(position)):
            encoding(torch.tensor([position]))


REFUSED = [
    ("max_positions", bad_count, lambda bad: LearnedEncoding(bad, 4)),
    ("dim", bad_count, lambda bad: LearnedEncoding(4, bad)),
    ("positions", not_integers, lambda bad: LearnedEncoding(4, 4)(bad)),
    ("positions", not_integers, lambda bad: Absolute(LearnedEncoding(4, 4)).at_input(torch.ones(3, 4), bad)),
    ("positions", st.sampled_from([(5,), (2, 4)]).map(lambda shape: torch.zeros(shape, dtype=torch.int64)), lambda bad: Absolute(LearnedEncoding(4, 4)).at_input(torch.ones(3, 4), bad)),
]  # fmt: skip


test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)


@pytest.mark.parametrize("used", [[0], [2, 2, 5], [0, 1, 2, 3, 4, 5]])
def test_the_gradient_of_a_row_is_the_sum_over_its_tokens_and_zero_where_there_are_none(used):
    encoding = table_of().double()
    pull = torch.randn(len(used), 4, dtype=torch.float64, device=DEVICE)
    (encoding(at(used)) * pull).sum().backward()
    expected = np.zeros((6, 4))
    for token, row in enumerate(used):
        expected[row] += pull[token].cpu().numpy()
    np.testing.assert_allclose(encoding.table.grad.cpu(), expected, rtol=0, atol=1e-15)


# What a learned table claims, and what it does not.


def layer(encoding, x):
    h = encoding.at_input(x.to(DEVICE), torch.arange(len(x), device=DEVICE))
    m = torch.arange(len(x), device=DEVICE)
    return encoding(h, h, h, m, m)


@pytest.mark.parametrize("size", [(4098, 6), (5000, 4)])
def test_a_token_is_treated_alone_and_by_its_own_position(size):
    door = Absolute(table_of(*size).double().cpu())
    assert laws.locality(lambda x, m: door.at_input(x, m).detach(), dim=size[1]) is None
    for law in (laws.identity_at_zero, laws.linearity):
        assert law(lambda x, m: door.at_input(x, m).detach(), dim=size[1]) is not None


def test_it_lets_order_in_and_is_not_relative():
    torch.manual_seed(0)
    encoding = Absolute(LearnedEncoding(20_000, 6)).double()
    assert laws.permutation_equivariance(functools.partial(layer, encoding.to(DEVICE)), dim=6) is not None
    scores = laws.layer_scores(encoding.cpu(), dim=6)
    assert laws.toeplitz(scores, dim=6) is not None
    assert laws.shift_invariance(scores, dim=6) is not None


def test_shuffled_together_with_their_positions_tokens_give_shuffled_outputs():
    encoding = Absolute(table_of(64, 6).double())
    x, m = torch.randn(9, 6, dtype=torch.float64, device=DEVICE), at([3, 1, 4, 15, 9, 2, 6, 5, 35])
    order = torch.randperm(9, device=DEVICE)
    h, shuffled = encoding.at_input(x, m), encoding.at_input(x[order], m[order])
    expected = encoding(h, h, h, m, m)[order]
    found = encoding(shuffled, shuffled, shuffled, m[order], m[order])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("start", [0, 90])
def test_cached_equals_uncached(start):
    encoding = Absolute(table_of(128, 6).double())
    x, m = torch.randn(2, 7, 6, dtype=torch.float64, device=DEVICE), torch.arange(7, device=DEVICE) + start
    h = encoding.at_input(x, m)
    at_once = encoding(h, h, h, m, m, causal=True)
    cache = torch.empty(2, 0, 6, dtype=torch.float64, device=DEVICE)
    for t in range(7):
        new = encoding.at_input(x[:, t : t + 1], m[t : t + 1])
        cache = torch.cat((cache, new), dim=1)
        step = encoding(new, cache, cache, m[t : t + 1], m[: t + 1], causal=True)
        torch.testing.assert_close(step[:, 0], at_once[:, t], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("rank", "dim"), [(1, 2), (3, 6), (4, 8), (3, 8)])
def test_a_table_can_hold_any_pattern_of_rank_up_to_half_its_dimension(rank, dim):
    rng = np.random.default_rng(rank)
    pattern = rng.standard_normal((10, rank)) @ rng.standard_normal((rank, 10))
    P, B = np.zeros((10, dim)), np.zeros((dim, dim))
    left, sizes, right = np.linalg.svd(pattern)
    P[:, :rank], P[:, dim // 2 : dim // 2 + rank] = left[:, :rank] * sizes[:rank], right[:rank].T
    B[: dim // 2, dim // 2 :] = np.eye(dim // 2)
    encoding = Absolute(table_of(10, dim).double())
    with torch.no_grad():
        encoding.vectors.table.copy_(torch.tensor(P))
    p = encoding.at_input(torch.zeros(10, dim, dtype=torch.float64, device=DEVICE), at(range(10)))
    m = at(range(10))
    scores = encoding.scores(p[None], p[None] @ torch.tensor(B.T, device=DEVICE), m, m)[0] * dim**0.5
    np.testing.assert_allclose(scores.detach().cpu(), pattern, rtol=0, atol=1e-12)


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("look_up", "negative rows allowed", ("(positions < 0) | ", ""), "refusal fails for position -1"),
    ("look_up", "clipped", ("    outside", "    positions = np.clip(positions, 0, len(table) - 1)\n    outside"), "refusal fails"),
    ("look_up", "wrapped", ("    outside", "    positions = positions % len(table)\n    outside"), "refusal fails"),
    ("look_up", "counted from 1", ("return table[positions]", "return table[positions - 1]"), "agreement fails"),
    ("look_up", "flattened", ("return table[positions]", "return table[positions.ravel()]"), r"agreement \(shape\) fails"),
    ("look_up", "the last row refused", (">= len(table)", ">= len(table) - 1"), "stopped with IndexError"),
    ("positions_from", "counted from 1", (" - 1)", ")"), "agreement fails"),
    ("positions_from", "padding at -1", (" * masks", ""), "found -1"),
    ("positions_from", "by column", ("np.cumsum(masks, axis=-1) - 1", "np.arange(masks.shape[-1])"), "agreement fails"),
    ("positions_from", "counted down the batch", ("axis=-1", "axis=0"), "agreement fails"),
    ("positions_from", "counted through the batch", ("np.cumsum(masks, axis=-1)", "np.cumsum(masks).reshape(masks.shape)"), "agreement fails"),
    ("visits", "one row too many", ("lengths[:, None] >", "lengths[:, None] >="), "agreement fails"),
    ("visits", "summed over rows", ("axis=0", "axis=1"), r"agreement( \(shape\))? fails"),
    ("visits", "not cut", ("np.arange(rows)", "np.arange(lengths.max())"), r"agreement \(shape\) fails"),
    ("visits", "whether, not how often", (".sum(axis=0)", ".any(axis=0) * 1"), "agreement fails"),
    ("visits", "only the last row of each", ("lengths[:, None] > np", "lengths[:, None] - 1 == np"), "agreement fails"),
    ("table_for", "sizes forgotten", (" * sizes[:rank]", ""), "agreement fails"),
    ("table_for", "sizes on both sides", ("= right[:rank].T", "= right[:rank].T * sizes[:rank]"), "agreement fails"),
    ("table_for", "transposed", ("B[:half, half:]", "B[half:, :half]"), "agreement fails"),
    ("table_for", "one column lost", ("rank = min(half, len(sizes))", "rank = min(half, len(sizes)) - 1"), "agreement fails"),
    ("table_for", "a table too wide", ("P, B = np.zeros((len(M), d))", "P, B = np.zeros((len(M), d + 1))"), "stopped with ValueError"),
    ("table_for", "symmetric patterns only", ("right[:rank].T", "left[:, :rank]"), "agreement fails"),
]  # fmt: skip
