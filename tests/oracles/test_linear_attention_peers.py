"""posemb_ref.rotary.linear_attention agrees with recorded implementations, among them two that rotate as eq. (19) does.

They add 1e-6 or less to a denominator that is above 1 here, so that 1e-5 leaves room for that and for float32.
"""

import pytest
import torch

from posemb_ref.clocks import frequencies, tables
from posemb_ref.rotary.linear_attention import linear_attention

NAME = "rotary.linear_attention.linear_attention"


@pytest.mark.parametrize("name", ["fast-transformers", "kornia", "performer-pytorch"])
def test_without_positions(agrees, recorded, name):
    peer, arrays = recorded(name)
    found = linear_attention(arrays["q"], arrays["k"], arrays["v"])
    agrees(NAME, peer, found, arrays["output"], atol=1e-5)


@pytest.mark.parametrize("name", ["fast-transformers", "performer-pytorch", "fla-core"])
def test_causal(agrees, recorded, name):
    peer, arrays = recorded(name)
    found = linear_attention(arrays["q"], arrays["k"], arrays["v"], causal=True)
    agrees(NAME, peer, found, arrays["output_causal"], atol=1e-5)


def test_diffusers_which_rotates_the_numerator_alone(agrees, recorded, evidence):
    peer, arrays = recorded("diffusers")
    rotation = tables(torch.arange(9) + 3, frequencies(8))
    found = linear_attention(arrays["q"], arrays["k"], arrays["v"], rotation=rotation)
    agrees(NAME, peer, found, arrays["output"], atol=1e-5)
    without = linear_attention(arrays["q"], arrays["k"], arrays["v"])
    assert (without - arrays["output"]).abs().max() > 0.1  # it did turn
    evidence(
        NAME, "note", "Two of them rotate, diffusers and MLLA; no third is known that leaves the denominator alone"
    )


def test_mlla_which_rotates_by_row_and_column(agrees, recorded):
    peer, arrays = recorded("MLLA")
    place = torch.cartesian_prod(torch.arange(3), torch.arange(3))  # of the nine parts of an image
    theta, zero = frequencies(4), torch.zeros(2, dtype=torch.float64)  # two pairs for the row and two for the column
    rotation = tables(place, torch.stack((torch.cat((theta, zero)), torch.cat((zero, theta))), dim=-1))
    found = linear_attention(arrays["q"], arrays["k"], arrays["v"], rotation=rotation)
    agrees(NAME, peer, found, arrays["output"], atol=1e-5)
    without = linear_attention(arrays["q"], arrays["k"], arrays["v"])
    assert (without - arrays["output"]).abs().max() > 0.1
