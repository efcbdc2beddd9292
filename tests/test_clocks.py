"""posemb_ref.clocks against NumPy and arithmetic of any precision."""

import math

import mpmath
import numpy as np
import pytest
import torch

from posemb_ref import clocks
from posemb_ref.clocks import angles, frequencies, tables
from tests.common import DEVICE, at

BASES = (10000.0, 500000.0, 100.0, 0.5)


def theta(dim, base=10000.0):
    return np.array([base ** (-2 * i / dim) for i in range(dim // 2)])


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("dim", [2, 6, 64, 128])
def test_frequencies_are_base_to_the_minus_2i_over_d(dim, base):
    found = frequencies(dim, base=base)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), theta(dim, base), rtol=1e-14)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 2e-9)])
@pytest.mark.parametrize("position", [0, 1, -7, 4097, 2**20, -(2**20)])
@pytest.mark.parametrize("base", BASES[:2])
def test_tables_agree_with_arbitrary_precision(evidence, position, base, dtype, tolerance):
    found = tables(at([position]), frequencies(64, base=base), dtype=dtype)
    with mpmath.workdps(50):
        angles = [position * mpmath.mpf(base) ** (-mpmath.mpf(2 * i) / 64) for i in range(32)]
        expected = [[float(f(angle)) for angle in angles] for f in (mpmath.cos, mpmath.sin)]
    for table, values in zip(found, expected, strict=True):
        assert table.dtype == dtype
        np.testing.assert_allclose(table[0].double().cpu(), values, rtol=0, atol=tolerance)
    evidence("clocks.tables", "dtype", str(dtype)[6:])
    evidence("clocks.tables", "peer", f"mpmath {mpmath.__version__}", math.ceil(math.log10(tolerance)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int16, torch.uint8])
def test_tables_take_positions_of_any_exact_dtype(dtype):
    cos, sin = tables(at([0, 3, 200]).to(dtype), frequencies(8), dtype=torch.float64)
    for found, function in ((cos, np.cos), (sin, np.sin)):
        np.testing.assert_allclose(found.cpu(), function(np.outer([0, 3, 200], theta(8))), rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", [(), (5,), (2, 5), (2, 1, 5)])
def test_tables_have_the_shape_of_the_positions_and_one_column_per_pair(shape):
    cos, sin = tables(torch.zeros(shape, dtype=torch.int64), frequencies(6))
    assert cos.shape == sin.shape == (*shape, 3)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_angle_of_several_coordinates_is_an_inner_product(axes):
    rng = np.random.default_rng(axes)
    positions, theta = rng.integers(-9, 999, (2, 5, axes)), rng.standard_normal((4, axes))
    expected = np.array(
        [[[sum(a * b for a, b in zip(m, row, strict=True)) for row in theta] for m in line] for line in positions]
    )
    found = angles(at(positions), torch.tensor(theta, device=DEVICE))
    np.testing.assert_allclose(found.cpu(), expected, rtol=1e-14, atol=1e-12)
    cos, sin = tables(at(positions), torch.tensor(theta, device=DEVICE), dtype=torch.float64)
    np.testing.assert_allclose(cos.cpu(), np.cos(expected), rtol=0, atol=1e-12)
    np.testing.assert_allclose(sin.cpu(), np.sin(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (2,)])
def test_positions_have_a_coordinate_for_each_column(untyped, shape):
    with pytest.raises(ValueError, match="^positions must have 4 coordinates"):
        tables(torch.ones(shape), torch.ones(3, 4))


def test_frequencies_are_made_where_they_are_used():
    assert frequencies(8, device="meta").device.type == "meta"
    with torch.device("meta"):
        assert frequencies(8).device.type == "meta"
        assert frequencies(8, device="cpu").device.type == "cpu"


def test_what_has_no_float64_is_computed_on_the_cpu():
    assert clocks._with_float64(torch.device("mps", 0)) == "cpu"
    assert clocks._with_float64(torch.device("cuda")) == torch.device("cuda")
