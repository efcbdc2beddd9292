"""Generated wrong inputs, and the one way in which all of them are tried.

A test file lists its refusals as (argument, strategy of bad values, call), and one line tries them:

    REFUSED = [("dim", bad_dim, lambda bad: frequencies(bad)), …]
    test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)
"""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

REFUSALS = (ValueError, TypeError, IndexError)
quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def trials(refusals):
    """Make the test that each call with a bad value raises an error that names the argument."""

    @pytest.mark.parametrize(("argument", "values", "call"), refusals)
    @quick
    @given(data=st.data())
    def test(untyped, argument, values, call, data):
        bad = data.draw(values)
        with pytest.raises(REFUSALS, match=rf"(?<!\.)\b{argument}\b"):  # torch.dtype does not name `dtype`
            call(bad)

    return test


numbers = st.floats(allow_nan=True, allow_infinity=True)
not_numbers = st.one_of(st.none(), st.text(max_size=2), st.booleans(), st.just([1]), st.just(1j))
bad_dim = st.one_of(st.integers(max_value=0), st.integers(1, 99).map(lambda n: 2 * n + 1), numbers, not_numbers)
bad_count = st.one_of(st.integers(max_value=0), numbers, not_numbers)
bad_base = st.one_of(st.floats(max_value=0), st.sampled_from([float("inf"), float("nan")]), not_numbers)
not_finite = st.one_of(st.sampled_from([float("inf"), -float("inf"), float("nan")]), not_numbers)
not_a_tensor = st.one_of(st.none(), st.lists(st.floats(), max_size=2), numbers)
not_floats = st.sampled_from([torch.int64, torch.int8, torch.bool, torch.complex64]).map(
    lambda dtype: torch.ones(3, 4, dtype=dtype)
)
not_integers = st.one_of(
    not_a_tensor,
    st.sampled_from([torch.float32, torch.bfloat16, torch.bool, torch.complex64]).map(lambda d: torch.ones(3, dtype=d)),
)
bad_vectors = st.one_of(not_a_tensor, not_floats, st.sampled_from([torch.ones(()), torch.ones(4)]))
bad_positions = st.one_of(
    not_a_tensor,
    st.sampled_from([torch.float16, torch.bfloat16, torch.bool, torch.complex64]).map(lambda d: torch.ones(3, dtype=d)),
    st.sampled_from([float("inf"), float("nan")]).map(lambda value: torch.tensor([0, value, 1])),
)


def not_one_of(choices):
    """Anything but one of these words."""
    return st.text().filter(lambda text: text not in choices) | st.sampled_from([None, 3])
