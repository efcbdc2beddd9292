"""posemb_ref.rotary.rope against arithmetic written down again from the paper: NumPy, mpmath and SymPy.

Nothing here takes its expected value from the code under test.
"""

import itertools

import numpy as np
import pytest
import sympy
import torch

from posemb_ref.rotary.rope import Rotary, frequencies, rotate, rotation_matrix, tables
from tests.common import DEVICE, at, vectors

BASES = (10000.0, 500000.0, 100.0, 0.5)
LAYOUTS = ("interleaved", "half")


def theta(dim, base=10000.0):
    return np.array([base ** (-2 * i / dim) for i in range(dim // 2)])


def turned(x, positions, thetas, layout):
    """Rotate rows of x one pair at a time; dimensions beyond the pairs pass."""
    out, pairs = np.array(x, dtype=np.float64), len(thetas)
    for row, position in enumerate(positions):
        for i, speed in enumerate(thetas):
            a, b = (2 * i, 2 * i + 1) if layout == "interleaved" else (i, i + pairs)
            angle = float(position) * speed
            u, v = np.array(x[..., row, a], dtype=np.float64), np.array(x[..., row, b], dtype=np.float64)
            out[..., row, a] = u * np.cos(angle) - v * np.sin(angle)
            out[..., row, b] = v * np.cos(angle) + u * np.sin(angle)
    return out


def tables_of(positions, thetas, dtype=torch.float64):
    angles = np.asarray(positions, dtype=np.float64)[:, None] * thetas
    return [torch.tensor(f(angles), dtype=dtype, device=DEVICE) for f in (np.cos, np.sin)]


@pytest.mark.parametrize("offset", [0, 1, -5, 100_000])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(6, 8), (2, 6, 8), (2, 3, 6, 8), (0, 6, 8), (2, 0, 8)])
def test_rotary_turns_each_pair_by_its_angle(shape, layout, base, offset):
    x, positions = vectors(*shape), np.arange(shape[-2]) + offset
    found = Rotary(8, base=base, layout=layout).on_query(x, at(positions))
    expected = turned(x.cpu().numpy(), positions, theta(8, base), layout)
    np.testing.assert_allclose(found.cpu(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", [2, 4, 10, 12])
def test_the_dimensions_beyond_the_pairs_pass(width, layout):
    x = vectors(2, 5, 12)
    cos, sin = tables_of(range(5), theta(width))
    found = rotate(x, cos, sin, layout=layout)
    np.testing.assert_allclose(found.cpu(), turned(x.cpu().numpy(), range(5), theta(width), layout), atol=1e-12)
    assert torch.equal(found[..., width:], x[..., width:])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", [16, 8])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_result_is_the_exact_one_rounded_once(evidence, dtype, width, layout):
    x = vectors(2, 7, 16, dtype=dtype)
    work = torch.promote_types(dtype, torch.float32)
    cos, sin = tables_of(range(7), theta(width), work)
    found = rotate(x, cos, sin, layout=layout)
    exact = torch.from_numpy(turned(x.double().cpu().numpy(), range(7), theta(width), layout))
    slack = 4 * torch.finfo(work).eps * exact.abs().max()  # of the arithmetic inside
    half_ulp = torch.finfo(dtype).eps / 2 * exact.abs() if dtype != work else 0
    assert found.dtype == dtype
    assert ((found.double().cpu() - exact).abs() <= half_ulp + slack).all()
    evidence("rotary.rope.rotate", "dtype", str(dtype)[6:])


STRIDED = {
    "transposed": lambda: vectors(3, 6, 2, 8).transpose(1, 2),
    "every other column": lambda: vectors(2, 6, 16)[..., ::2],
    "every other row": lambda: vectors(2, 12, 8)[:, ::2],
    "odd storage offset": lambda: vectors(2 * 6 * 8 + 1)[1:].view(2, 6, 8),
    "odd row stride": lambda: vectors(2, 6, 9)[..., 1:],
    "last axis transposed": lambda: vectors(2, 8, 6).mT,
    "expanded": lambda: vectors(1, 6, 8).expand(4, 6, 8),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", STRIDED.values(), ids=STRIDED)
def test_any_memory_layout_will_do_and_the_input_stays_as_it_was(make, dtype, layout):
    x = make().to(dtype) if dtype == torch.float64 else make().float()
    before = x.clone()
    cos, sin = tables_of(range(6), theta(8), dtype)
    kept = cos.clone(), sin.clone()
    found = rotate(x, cos, sin, layout=layout)
    expected = turned(before.double().cpu().numpy(), range(6), theta(8), layout)
    np.testing.assert_allclose(found.double().cpu(), expected, atol=1e-5 if dtype == torch.float32 else 1e-12)
    assert torch.equal(x, before) and torch.equal(cos, kept[0]) and torch.equal(sin, kept[1])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tables_of_each_batch_broadcast_over_the_heads(layout):
    x, positions = vectors(2, 3, 4, 8), np.array([[0, 1, 2, 3], [50, 51, 52, 90]])
    cos, sin = tables(at(positions), frequencies(8), dtype=torch.float64)
    found = rotate(x, cos[:, None], sin[:, None], layout=layout)
    for row in range(2):
        expected = turned(x[row].cpu().numpy(), positions[row], theta(8), layout)
        np.testing.assert_allclose(found[row].cpu(), expected, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tables_of_each_batch_may_have_many_rows(layout):
    x, positions = vectors(2, 9, 8), np.arange(18).reshape(2, 9)
    found = rotate(x, *tables(at(positions), frequencies(8), dtype=torch.float64), layout=layout)
    expected = np.stack([turned(x[i].cpu().numpy(), positions[i], theta(8), layout) for i in range(2)])
    np.testing.assert_allclose(found.cpu(), expected, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("dtype", "of_tables", "work"),
    [
        (torch.float64, torch.float32, torch.float64),
        (torch.float16, torch.float64, torch.float64),
        (torch.float16, torch.float16, torch.float32),
        (torch.bfloat16, torch.float16, torch.float32),
    ],
)
def test_the_arithmetic_has_the_widest_of_the_types_and_float32_at_least(dtype, of_tables, work, layout):
    x, (cos, sin) = vectors(5, 8, dtype=dtype), tables_of(range(5), theta(8), of_tables)
    expected = rotate(x.to(work), cos.to(work), sin.to(work), layout=layout).to(dtype)
    assert torch.equal(rotate(x, cos, sin, layout=layout), expected)


def test_the_base_is_10000_unless_told_otherwise():
    x = vectors(6, 8)
    assert torch.equal(frequencies(8), frequencies(8, base=10000.0))
    assert torch.equal(rotation_matrix(3, 8), rotation_matrix(3, 8, base=10000.0))
    assert torch.equal(Rotary(8).on_query(x, at(range(6))), Rotary(8, base=10000.0).on_query(x, at(range(6))))


@pytest.mark.parametrize("dim", [2, 4, 10])
@pytest.mark.parametrize("position", [0, 1, -3, 2.5, 1000])
@pytest.mark.parametrize("base", [10000.0, 7.0])
def test_rotation_matrix_is_made_of_blocks(position, dim, base):
    blocks = [
        sympy.Matrix([[sympy.cos(angle), -sympy.sin(angle)], [sympy.sin(angle), sympy.cos(angle)]])
        for i in range(dim // 2)
        for angle in [sympy.nsimplify(position) * sympy.Integer(int(base)) ** sympy.Rational(-2 * i, dim)]
    ]
    expected = np.array(sympy.diag(*blocks).evalf(30), dtype=np.float64)
    np.testing.assert_allclose(rotation_matrix(position, dim, base=base).numpy(), expected, rtol=0, atol=1e-12)


def test_no_answer_is_remembered_from_another_base():
    x, kept = vectors(6, 8), {base: Rotary(8, base=base) for base in BASES}
    for base, offset in [*itertools.product((*BASES, *reversed(BASES)), (0, 9, 0)), (10000.0, 0)]:
        positions = np.arange(6) + offset
        expected = turned(x.cpu().numpy(), positions, theta(8, base), "interleaved")
        for encoding in (kept[base], Rotary(8, base=base)):
            np.testing.assert_allclose(encoding.on_key(x, at(positions)).cpu(), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap_over_x_and_over_x_with_its_tables(evidence, layout):
    x, positions = vectors(3, 5, 8), np.arange(15).reshape(3, 5)
    cos, sin = tables(at(positions), frequencies(8), dtype=torch.float64)
    expected = np.stack([turned(x[i].cpu().numpy(), positions[i], theta(8), layout) for i in range(3)])
    both = torch.vmap(lambda *args: rotate(*args, layout=layout))(x, cos, sin)
    np.testing.assert_allclose(both.cpu(), expected, atol=1e-12)
    one = torch.vmap(lambda x: rotate(x, cos[0], sin[0], layout=layout))(x)
    expected = np.stack([turned(row.cpu().numpy(), positions[0], theta(8), layout) for row in x])
    np.testing.assert_allclose(one.cpu(), expected, atol=1e-12)
    evidence("rotary.rope.rotate", "law", "under vmap")


def test_rotary_in_bfloat16_keeps_its_frequencies():
    encoding = Rotary(64, base=500000.0).to(torch.bfloat16)
    assert encoding.frequencies.dtype == torch.float64
    np.testing.assert_allclose(encoding.frequencies.numpy(), theta(64, 500000.0), rtol=1e-14)
    assert not encoding.state_dict()
    x = vectors(1, 64, dtype=torch.bfloat16)
    exact = turned(x.double().cpu().numpy(), [2**20], theta(64, 500000.0), "interleaved")
    np.testing.assert_allclose(encoding.on_query(x, at([2**20])).double().cpu(), exact, rtol=2**-8, atol=1e-5)


def test_the_result_stays_on_the_device_of_its_input():
    x = vectors(3, 8)
    assert Rotary(8).on_query(x, at([0, 1, 2])).device == x.device
    assert tables(at([1]), frequencies(8))[0].device == x.device


def test_rotary_made_on_meta_has_its_frequencies_once_its_model_is_loaded():
    with torch.device("meta"):
        model = torch.nn.ModuleList([Rotary(8, base=100.0), torch.nn.Linear(2, 2)])
    model = model.to_empty(device="cpu")
    x = vectors(3, 8)
    assert torch.equal(model[0].on_query(x, at(range(3))), Rotary(8, base=100.0).on_query(x, at(range(3))))


def test_rotary_shows_its_frequencies_and_layout():
    assert repr(Rotary(4, base=100.0, layout="half")) == "Rotary(4, frequencies=1 … 0.1, layout='half')"
    given = Rotary(frequencies=torch.ones(3, 2), attention_factor=1.5)
    assert repr(given) == "Rotary(6, frequencies=3 pairs, 2 axes, layout='interleaved', attention_factor=1.5)"


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("clock_speeds", "exponent i/d", ("-2 * np", "-1 * np"), "agreement fails"),
    ("clock_speeds", "base ignored", ("base **", "10000.0 **"), "agreement fails"),
    ("clock_speeds", "pairs counted from 1", ("np.arange(dim // 2)", "np.arange(1, dim // 2 + 1)"), "agreement fails"),
    ("clock_speeds", "one per dimension", ("np.arange(dim // 2)", "np.arange(dim)"), r"agreement \(shape\) fails"),
    ("turn_vector", "one sign lost", ("-x[1::2]", "x[1::2]"), "norm preservation fails"),
    ("turn_vector", "one cosine for all", ("np.cos(angles)", "np.cos(angles[0])"), "norm preservation fails"),
    ("turn_vector", "position squared", ("position *", "position**2 *"), "composition fails"),
    ("turn_vector", "clockwise", ("+ swapped", "- swapped"), "agreement fails"),
    ("turn_vector", "exponent i/d", ("-2 * np", "-1 * np"), "agreement fails"),
    ("turn_vector", "base forgotten", ("10000.0", "1000.0"), "agreement fails"),
    ("slow_pairs", "the fast ones counted", ("return dim // 2 -", "return"), "agreement fails"),
    ("slow_pairs", "2π forgotten", ("length / (2 * np.pi)", "length"), "agreement fails"),
    ("slow_pairs", "not clipped", ("int(np.clip(first_slow, 0, dim // 2))", "int(first_slow)"), "agreement fails"),
    ("slow_pairs", "off by one", ("np.log(base)) + 1", "np.log(base))"), "agreement fails"),
    ("hidden_clocks", "negative frequencies left", ("np.abs(theta)", "theta"), "agreement fails"),
    ("hidden_clocks", "columns not exchanged", ("[2 * j + 1, 2 * j]]", "[2 * j, 2 * j + 1]]"), "agreement fails"),
    ("hidden_clocks", "frequencies halved", ("np.abs(theta)", "np.abs(theta) / 2"), "agreement fails"),
    ("hidden_clocks", "Z not orthogonal", ("return Z,", "return 2 * Z,"), "agreement fails"),
]
