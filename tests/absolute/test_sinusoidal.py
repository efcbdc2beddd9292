"""posemb_ref.absolute.sinusoidal against the paper's formula written down again: loops, mpmath, and the lesson's claims.

Nothing here takes its expected value from the code under test.
"""

import functools
import itertools

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from posemb_ref import laws
from posemb_ref.absolute.sinusoidal import LAYOUTS, sinusoidal
from posemb_ref.attention import Absolute
from posemb_ref.lesson.device import lesson_device
from tests.wrong_input import bad_base, bad_dim, bad_positions, not_one_of, trials

BASES = (10000.0, 500000.0, 100.0, 0.5)
DIMS = (2, 6, 64)
OFFSETS = (0, 1, -5, 100_000)
DEVICE = lesson_device()


def at(positions):
    return torch.as_tensor(positions, device=DEVICE)


def formula(positions, dim, base=10000.0, layout="interleaved"):
    """Fill the vectors one pair at a time."""
    out = np.empty((len(positions), dim))
    for row, position in enumerate(positions):
        for i in range(dim // 2):
            a, b = (2 * i, 2 * i + 1) if layout == "interleaved" else (i, dim // 2 + i)
            angle = float(position) / base ** (2 * i / dim)
            out[row, a], out[row, b] = np.sin(angle), np.cos(angle)
    return out


def shift_matrix(k, dim, base=10000.0, layout="interleaved"):
    """M_k, entry by entry: (sin, cos) of each pair turn clockwise by k·θ_i."""
    out = np.zeros((dim, dim))
    for i in range(dim // 2):
        a, b = (2 * i, 2 * i + 1) if layout == "interleaved" else (i, dim // 2 + i)
        angle = k / base ** (2 * i / dim)
        out[a, a] = out[b, b] = np.cos(angle)
        out[a, b], out[b, a] = np.sin(angle), -np.sin(angle)
    return out


def double(positions, dim, **kwargs):
    return sinusoidal(at(positions), dim, dtype=torch.float64, **kwargs).cpu().numpy()


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_the_formula_of_the_paper(layout, dim, base, offset):
    positions = np.array([0, 1, 2, 7, 50, 3]) + offset
    found = double(positions, dim, base=base, layout=layout)
    np.testing.assert_allclose(found, formula(positions, dim, base, layout), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-7), (torch.float64, 2e-9), (torch.bfloat16, 2e-3)])
@pytest.mark.parametrize("position", [0, 1, -7, 257, 4097, 2**20, -(2**20)])
@pytest.mark.parametrize("base", BASES[:2])
def test_it_agrees_with_arbitrary_precision_whatever_the_dtype_of_the_result(position, base, dtype, tolerance):
    found = sinusoidal(at([position]), 64, base=base, dtype=dtype)
    assert found.dtype == dtype
    with mpmath.workdps(50):
        angles = [position / mpmath.mpf(base) ** (mpmath.mpf(2 * i) / 64) for i in range(32)]
        expected = [float(f(angle)) for angle in angles for f in (mpmath.sin, mpmath.cos)]
    np.testing.assert_allclose(found[0].double().cpu(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("position", [2**24 + 1, -(2**24) - 1, 2**31 + 7])
def test_positions_too_large_for_float32(position):
    found = sinusoidal(at([position]), 64, dtype=torch.float64)
    with mpmath.workdps(50):
        angles = [position / mpmath.mpf(10000) ** (mpmath.mpf(2 * i) / 64) for i in range(32)]
        expected = [float(f(angle)) for angle in angles for f in (mpmath.sin, mpmath.cos)]
    np.testing.assert_allclose(found[0].cpu(), expected, rtol=0, atol=1e-6)


def test_the_result_is_float32_unless_another_dtype_is_asked_for():
    assert sinusoidal(at([0, 1]), 8).dtype == torch.float32
    assert sinusoidal(at([0.5, 1.0]).double(), 8).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int16, torch.uint8])
def test_positions_of_any_exact_dtype(dtype):
    found = sinusoidal(at([0, 3, 200]).to(dtype), 8, dtype=torch.float64)
    np.testing.assert_allclose(found.cpu(), formula([0, 3, 200], 8), rtol=0, atol=1e-13)


def test_positions_between_whole_numbers():
    np.testing.assert_allclose(double([0.5, -2.25], 8), formula([0.5, -2.25], 8), rtol=0, atol=1e-13)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 5), (2, 1, 5)])
def test_any_shape_of_positions(shape, layout):
    positions = torch.arange(int(np.prod(shape)), device=DEVICE).reshape(shape)
    found = sinusoidal(positions, 6, layout=layout, dtype=torch.float64)
    assert found.shape == (*shape, 6) and found.device == positions.device
    expected = formula(range(positions.numel()), 6, layout=layout).reshape(*shape, 6)
    np.testing.assert_allclose(found.cpu(), expected, rtol=0, atol=1e-13)


def test_positions_in_any_memory_layout_stay_as_they_were():
    positions = torch.arange(24, device=DEVICE).reshape(4, 6)[:, ::2].mT
    before = positions.clone()
    found = sinusoidal(positions, 8, dtype=torch.float64).cpu().numpy()
    for row, column in itertools.product(range(3), range(4)):
        np.testing.assert_allclose(found[row, column], formula([6 * column + 2 * row], 8)[0], atol=1e-13)
    assert torch.equal(positions, before)


@pytest.mark.parametrize("dim", DIMS)
def test_the_layouts_hold_the_same_numbers_sines_first(dim):
    order = [*range(0, dim, 2), *range(1, dim, 2)]
    positions = at([0, 3, 700])
    assert torch.equal(sinusoidal(positions, dim)[:, order], sinusoidal(positions, dim, layout="concatenated"))


@pytest.mark.parametrize("k", [1, -3, 64, 10_000])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_shift_by_k_is_one_matrix_for_all_positions(layout, base, k):
    positions = np.array([0, 1, -9, 40, 4097])
    here, there = (double(at, 16, base=base, layout=layout) for at in (positions, positions + k))
    np.testing.assert_allclose(here @ shift_matrix(k, 16, base, layout).T, there, rtol=0, atol=1e-9)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_inner_products_are_sums_of_cosines_of_the_distance(layout, base):
    m, n = np.array([0, 5, 300]), np.array([0, 9, 77, -30])
    found = double(m, 16, base=base, layout=layout) @ double(n, 16, base=base, layout=layout).T
    expected = [[sum(np.cos((a - b) / base ** (2 * i / 16)) for i in range(8)) for b in n] for a in m]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def products(q, k, m, n, **kwargs):
    """Score by position alone, whatever q and k are."""
    return sinusoidal(m, 12, dtype=torch.float64, **kwargs) @ sinusoidal(n, 12, dtype=torch.float64, **kwargs).mT


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_inner_products_obey_the_laws_of_relative_scores(layout, base):
    scores = functools.partial(products, base=base, layout=layout)
    assert laws.shift_invariance(scores, dim=12) is None
    assert laws.toeplitz(scores, dim=12) is None


def encoding(dim=12, **kwargs):
    return Absolute(functools.partial(sinusoidal, dim=dim, dtype=torch.float64, **kwargs)).double()


@pytest.mark.parametrize("base", BASES[:3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_scores_of_a_layer_are_not_relative(layout, base):
    scores = laws.layer_scores(encoding(base=base, layout=layout), dim=12)
    broken = laws.shift_invariance(scores, dim=12)
    assert broken is not None and abs(broken.expected - broken.found) > 1e-2
    assert laws.toeplitz(scores, dim=12) is not None


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_first_door_obeys_the_laws_it_can(layout, base):
    door = encoding(base=base, layout=layout).at_input
    assert laws.locality(door, dim=12) is None
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert laws.dtype_parity(door, dim=12, dtype=dtype) is None


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_it_is_added_to_the_tokens_in_their_dtype(dtype, offset):
    x = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(DEVICE, dtype)
    added = Absolute(functools.partial(sinusoidal, dim=8)).at_input(x, torch.arange(5, device=DEVICE) + offset)
    assert added.dtype == dtype
    expected = x.double().cpu().numpy() + formula(np.arange(5) + offset, 8)
    tolerance = {torch.float64: 1e-7, torch.float32: 1e-6, torch.bfloat16: 2**-6}[dtype]
    np.testing.assert_allclose(added.double().cpu(), expected, rtol=0, atol=tolerance)


def test_tokens_one_at_a_time_equal_tokens_at_once():
    x = torch.zeros(2, 6, 8, device=DEVICE)
    one = Absolute(functools.partial(sinusoidal, dim=8))
    positions = torch.arange(6, device=DEVICE) + 90
    cached = [one.at_input(x[:, i : i + 1], positions[i : i + 1]) for i in range(6)]
    assert torch.equal(torch.cat(cached, dim=1), one.at_input(x, positions))


def test_no_answer_is_remembered_from_another_base_layout_or_offset():
    for base, layout, offset in [
        *itertools.product((*BASES, *reversed(BASES)), LAYOUTS, (0, 9, 0)),
        (1e4, LAYOUTS[0], 0),
    ]:
        positions = np.arange(6) + offset
        found = double(positions, 8, base=base, layout=layout)
        np.testing.assert_allclose(found, formula(positions, 8, base, layout), rtol=0, atol=1e-11)


def test_the_first_door_is_differentiable_in_the_tokens():
    x = torch.randn(2, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    door = encoding(8).at_input
    assert torch.autograd.gradcheck(lambda x: door(x, torch.arange(5)).square(), [x])


REFUSED = [
    ("positions", bad_positions, lambda bad: sinusoidal(bad, 4)),
    ("dim", bad_dim, lambda bad: sinusoidal(torch.arange(3), bad)),
    ("base", bad_base, lambda bad: sinusoidal(torch.arange(3), 4, base=bad)),
    ("layout", not_one_of(LAYOUTS), lambda bad: sinusoidal(torch.arange(3), 4, layout=bad)),
    ("dtype", st.sampled_from([torch.int64, torch.bool, "float32", None]), lambda bad: sinusoidal(torch.arange(3), 4, dtype=bad)),
]  # fmt: skip


test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("wind_clock", "columns for pairs", ("np.sin(angles)", "np.sin(angles / base ** (1 / dim))"), "Toeplitz scores fails"),
    ("wind_clock", "no cosines", ("np.cos(angles)", "np.sin(angles)"), "Toeplitz scores fails"),
    ("wind_clock", "exponent i/d", ("-2 * np", "-1 * np"), "agreement fails"),
    ("wind_clock", "pairs counted from 1", ("np.arange(dim // 2)", "np.arange(1, dim // 2 + 1)"), "agreement fails"),
    ("wind_clock", "cosines first", ("(np.sin(angles), np.cos(angles))", "(np.cos(angles), np.sin(angles))"), "agreement fails"),
    ("wind_clock", "base ignored", ("base **", "10000.0 **"), "agreement fails"),
    ("wind_clock", "positions counted from 1", ("position *", "(position + 1) *"), "agreement fails"),
    ("wind_clock", "every dimension a pair", ("np.arange(dim // 2)", "np.arange(dim)"), r"agreement \(shape\) fails"),
    ("move_on", "a sign lost", ("- sin", "+ sin"), "norm preservation fails"),
    ("move_on", "backwards", ("k * speeds", "-k * speeds"), "agreement fails"),
    ("move_on", "a step too far", ("k * speeds", "(k + 1) * speeds"), "composition fails"),
    ("move_on", "sine and cosine mistaken for one another", ("sin, cos = p[0::2], p[1::2]", "cos, sin = p[0::2], p[1::2]"), "composition fails"),
    ("move_on", "halves for neighbours", ("p[0::2], p[1::2]", "p[: len(p) // 2], p[len(p) // 2 :]"), "composition fails"),
    ("look_back", "ahead", ("back * speeds", "-back * speeds"), "agreement fails"),
    ("look_back", "a sign lost", ("-np.sin(a)", "np.sin(a)"), "Toeplitz scores fails"),
    ("look_back", "one short", ("back * speeds", "(back - 1) * speeds"), "agreement fails"),
    ("look_back", "one pair", ("block_diag(*(", "next(iter("), "agreement fails"),
    ("distance_part", "nothing dropped", ("return part", "return B"), "agreement fails"),
    ("distance_part", "turned the other way", ("[[a, -c], [c, a]]", "[[a, c], [-c, a]]"), "agreement fails"),
    ("distance_part", "not halved", ("(B[i, i] + B[i + 1, i + 1]) / 2", "B[i, i] + B[i + 1, i + 1]"), "agreement fails"),
    ("distance_part", "the part along K", ("[[a, -c], [c, a]]", "[[a, c], [c, -a]]"), "agreement fails"),
    ("distance_part", "only the identity's part", ("[[a, -c], [c, a]]", "[[a, 0], [0, a]]"), "agreement fails"),
]  # fmt: skip
