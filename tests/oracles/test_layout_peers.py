"""posemb_ref.rotary.layout reorders rows as the converters of other packages do. Rows move and nothing is computed."""

from types import SimpleNamespace

import pytest
import torch

from posemb_ref.rotary.layout import to_half, to_interleaved


@pytest.mark.parametrize("shape", [(24, 5), (24,)])
@pytest.mark.parametrize("num_heads", [1, 3, 12])
def test_transformers(agrees, num_heads, shape):
    pytest.importorskip("transformers")
    from transformers.core_model_loading import PermuteForRope

    weight, config = torch.randn(shape), SimpleNamespace(num_attention_heads=num_heads)
    expected = PermuteForRope()._permute_for_rope(weight, config)
    agrees("rotary.layout.to_half", "transformers", to_half(weight, num_heads), expected, atol=0)
    expected = PermuteForRope(inverse=True)._permute_for_rope(weight, config)
    agrees("rotary.layout.to_interleaved", "transformers", to_interleaved(weight, num_heads), expected, atol=0)


def test_ctranslate2_which_knows_heads_that_turn_in_part(agrees, recorded):
    peer, arrays = recorded("ctranslate2")
    weight = arrays["weight"]
    agrees("rotary.layout.to_half", peer, to_half(weight, 3), arrays["half"], atol=0)
    agrees("rotary.layout.to_half", peer, to_half(weight, 3, rotary_dim=4), arrays["half_of_4"], atol=0)


@pytest.mark.parametrize(("projection", "num_heads"), [("query", 3), ("key", 1)])
def test_torchtune_there_and_back(agrees, recorded, projection, num_heads):
    peer, arrays = recorded("torchtune")
    weight = arrays[projection]
    agrees("rotary.layout.to_half", peer, to_half(weight, num_heads), arrays[f"{projection}_half"], atol=0)
    found = to_interleaved(weight, num_heads)
    agrees("rotary.layout.to_interleaved", peer, found, arrays[f"{projection}_interleaved"], atol=0)


@pytest.mark.parametrize(("projection", "num_heads"), [("query", 3), ("key", 1), ("bias", 3)])
def test_llama_cpp_which_keeps_neighbours(agrees, recorded, projection, num_heads):
    peer, arrays = recorded("llama.cpp")
    found = to_interleaved(arrays[projection], num_heads)
    agrees("rotary.layout.to_interleaved", peer, found, arrays[f"{projection}_interleaved"], atol=0)
