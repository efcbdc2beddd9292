"""posemb_ref agrees with independent sinusoids, and differs from the other formula exactly as that formula says."""

import numpy as np
import pytest
import torch

from posemb_ref.absolute.sinusoidal import sinusoidal

COUNT = 300
CASES = [(dim, offset) for dim in (8, 64) for offset in (0, 7, 200)]


def marian(dim):
    from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

    return MarianSinusoidalPositionalEmbedding(COUNT, dim).create_weight()


def roformer(dim):
    from transformers.models.roformer.modeling_roformer import RoFormerSinusoidalPositionalEmbedding

    return RoFormerSinusoidalPositionalEmbedding(COUNT, dim).create_weight()


def ctrl(dim):
    from transformers.models.ctrl.modeling_ctrl import positional_encoding

    return positional_encoding(COUNT, dim, torch.float32)


def xlnet(dim):
    from transformers.models.xlnet.modeling_xlnet import XLNetModel

    frequencies = 1 / 10000 ** (torch.arange(0, dim, 2).float() / dim)  # which it makes inside a longer method
    return XLNetModel.positional_embedding(torch.arange(COUNT).float(), frequencies)[:, 0]


def x_transformers(dim):
    from x_transformers.x_transformers import ScaledSinusoidalEmbedding

    peer = ScaledSinusoidalEmbedding(dim)
    return peer(torch.zeros(1, COUNT, dim)) / peer.scale  # its scale is learned, and begins at 1/√dim


def xlm(dim):
    from transformers.models.xlm.modeling_xlm import create_sinusoidal_embeddings

    return create_sinusoidal_embeddings(COUNT, dim, torch.empty(COUNT, dim))


def distilbert(dim):
    from transformers.models.distilbert.modeling_distilbert import create_sinusoidal_embeddings

    table = torch.empty(COUNT, dim)
    create_sinusoidal_embeddings(COUNT, dim, table)
    return table


PEERS = [
    (marian, "transformers", "concatenated"),
    (roformer, "transformers", "concatenated"),
    (ctrl, "transformers", "concatenated"),
    (xlnet, "transformers", "concatenated"),
    (x_transformers, "x_transformers", "concatenated"),
    (xlm, "transformers", "interleaved"),
    (distilbert, "transformers", "interleaved"),
]


@pytest.mark.filterwarnings("ignore")  # of the peers about themselves
@pytest.mark.parametrize(("dim", "offset"), CASES)
@pytest.mark.parametrize(("peer", "package", "layout"), PEERS, ids=[peer[0].__name__ for peer in PEERS])
def test_sinusoidal_agrees(agrees, peer, package, layout, dim, offset):
    pytest.importorskip(package)
    positions = torch.arange(offset, COUNT)
    found = sinusoidal(positions, dim, layout=layout)
    expected = peer(dim).detach()[offset:]
    agrees("absolute.sinusoidal.sinusoidal", package.replace("_", "-"), found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["keras-hub", "positional-encodings"])
@pytest.mark.parametrize("dim", [6, 64])
def test_sinusoidal_agrees_with_what_was_recorded(agrees, recorded, name, dim):
    peer, table = recorded(name)
    found = sinusoidal(table["sinusoid_positions"], dim)
    # Their angles are float32, which near 512 are right to 3e-5.
    agrees("absolute.sinusoidal.sinusoidal", peer, found, table[f"sinusoid_{dim}"], atol=1e-4)


def m2m100(dim):
    from transformers.models.m2m_100.modeling_m2m_100 import M2M100SinusoidalPositionalEmbedding

    return M2M100SinusoidalPositionalEmbedding.get_embedding(COUNT, dim)


def whisper(dim):
    from transformers.models.whisper.modeling_whisper import sinusoids

    return sinusoids(COUNT, dim)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dim", [8, 64])
@pytest.mark.parametrize("peer", [m2m100, whisper])
def test_the_exponent_i_over_half_the_dimension_less_one_is_another_encoding(peer, dim):
    """The lesson says so: these libraries follow tensor2tensor, not the formula of the paper."""
    pytest.importorskip("transformers")
    expected = peer(dim).detach()
    assert (sinusoidal(torch.arange(COUNT), dim, layout="concatenated") - expected).abs().max() > 0.5
    pairs = dim // 2
    angles = [[position / 10000 ** (i / (pairs - 1)) for i in range(pairs)] for position in range(COUNT)]
    variant = np.concatenate((np.sin(angles), np.cos(angles)), axis=1)
    np.testing.assert_allclose(expected.numpy(), variant, rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("peer", [marian, xlm])
def test_an_odd_dimension_leaves_these_peers_with_a_sine_without_its_cosine(peer):
    """Its inner products are no function of the distance, which is why `sinusoidal` refuses an odd dimension."""
    pytest.importorskip("transformers")
    lengths = peer(7).detach().square().sum(-1)
    lone = np.sin(np.arange(COUNT) / 10000 ** (6 / 7))
    np.testing.assert_allclose(lengths.numpy(), 3 + lone**2, rtol=0, atol=1e-4)
    assert lengths.max() - lengths.min() > 1e-2
