"""posemb_ref.clocks agrees with the frequencies, angles and tables that rotary packages make for themselves."""

import pytest
import torch

from posemb_ref.clocks import angles, frequencies, tables

CASES = [(dim, base) for dim in (8, 64) for base in (10000.0, 500000.0)]
POSITIONS = torch.tensor([0, 1, 2, 17, 255, 1000])  # up to which float32 angles are right to 6e-5


def llama(dim, base):
    from transformers.models.llama import modeling_llama as peer

    rope = {"rope_type": "default", "rope_theta": base}
    config = peer.LlamaConfig(hidden_size=dim, num_attention_heads=1, head_dim=dim, rope_parameters=rope)
    return peer.LlamaRotaryEmbedding(config)


def rotary_embedding_torch(dim, base):
    from rotary_embedding_torch import RotaryEmbedding

    return RotaryEmbedding(dim, theta=base)


def x_transformers(dim, base):
    from x_transformers.x_transformers import RotaryEmbedding

    return RotaryEmbedding(dim, base=base)


PEERS = [
    (llama, "transformers", "inv_freq"),
    (rotary_embedding_torch, "rotary_embedding_torch", "freqs"),
    (x_transformers, "x_transformers", "inv_freq"),
]


@pytest.mark.filterwarnings("ignore")  # of the peers about themselves
@pytest.mark.parametrize(("dim", "base"), CASES)
@pytest.mark.parametrize(("peer", "package", "name"), PEERS, ids=[peer[0].__name__ for peer in PEERS])
def test_frequencies(agrees, peer, package, name, dim, base):
    pytest.importorskip(package)
    expected = getattr(peer(dim, base), name)
    # Logarithms, since the slowest hand counts as much as the fastest: float32 keeps every frequency to 1e-6 of itself.
    found = frequencies(dim, base=base).log()
    agrees("clocks.frequencies", package.replace("_", "-"), found, expected.double().log(), atol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("dim", "base"), CASES)
def test_tables_of_transformers(agrees, dim, base):
    pytest.importorskip("transformers")
    expected = llama(dim, base)(torch.zeros(1), POSITIONS[None])
    for found, both_halves in zip(tables(POSITIONS, frequencies(dim, base=base)), expected, strict=True):
        agrees("clocks.tables", "transformers", found, both_halves[0, :, : dim // 2], atol=2e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("dim", "base"), CASES)
@pytest.mark.parametrize(("peer", "package"), [peer[:2] for peer in PEERS[1:]])
def test_angles_and_tables_of_two_that_keep_angles(agrees, peer, package, dim, base):
    pytest.importorskip(package)
    theirs = peer(dim, base)(POSITIONS)
    expected = (theirs[0][0] if isinstance(theirs, tuple) else theirs)[:, ::2]  # each stands beside itself
    theta, named = frequencies(dim, base=base), package.replace("_", "-")
    agrees("clocks.angles", named, angles(POSITIONS, theta), expected, atol=2e-4)
    for found, function in zip(tables(POSITIONS, theta), (torch.cos, torch.sin), strict=True):
        agrees("clocks.tables", named, found, function(expected), atol=2e-4)


@pytest.mark.parametrize("base", [10000, 500000])
def test_what_local_attention_has_computed(agrees, recorded, base):
    peer, arrays = recorded("local-attention")
    theta = frequencies(16, base=float(base))
    agrees("clocks.frequencies", peer, theta.log(), arrays[f"inv_freq_{base}"].double().log(), atol=1e-6)
    # All angles, and then all of them again, as the half layout reads them.
    found = angles(arrays["positions"], theta)
    agrees("clocks.angles", peer, torch.cat((found, found), dim=-1), arrays[f"angles_{base}"], atol=1e-4)
