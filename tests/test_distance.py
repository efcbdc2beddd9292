"""Distances, and the shift from distances to keys, against loops."""

import numpy as np
import pytest
import torch

from posemb_ref.distance import distances, shift


def test_the_distance_is_the_query_position_less_the_key_position():
    found = distances(torch.tensor([[5, 7]]), torch.tensor([[0, 7, 9], [1, 1, 1]]).int())
    assert found.tolist() == [[[5, -2, -4], [7, 0, -2]], [[4, 4, 4], [6, 6, 6]]]
    assert found.dtype == torch.int64


@pytest.mark.parametrize("queries", [1, 2, 5])
@pytest.mark.parametrize("keys", [1, 3, 5, 8])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_shift_puts_the_column_of_each_distance_under_its_key(queries, keys, batch):
    columns = queries + keys - 1
    x = torch.randn(*batch, queries, columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = np.empty((*batch, queries, keys))
    for i in range(queries):
        for j in range(keys):
            distance = (keys - queries + i) - j
            expected[..., i, j] = x.numpy()[..., i, distance + queries - 1]
    np.testing.assert_array_equal(shift(x), expected)


@pytest.mark.parametrize("far", [2**62, -(2**62), 2**63 - 1, -(2**63)])
def test_a_position_whose_distance_int64_may_not_hold_is_refused(untyped, far):
    near, far = torch.tensor([0, 2**62 - 1]), torch.tensor([0, far])
    assert distances(near, -near).tolist() == [[0, 2**62 - 1], [2**62 - 1, 2**63 - 2]]
    with pytest.raises(ValueError, match="^query_positions must be integers below"):
        distances(far, near)
    with pytest.raises(ValueError, match="^key_positions must be integers below"):
        distances(near, far)
