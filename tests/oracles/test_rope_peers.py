"""posemb_ref agrees with independent implementations, each of which makes its own frequencies and tables."""

import pytest
import torch

from posemb_ref.rotary.rope import Rotary

CASES = [(dim, base, offset) for dim in (8, 64) for base in (10000.0, 500000.0) for offset in (0, 7, 100)]


def queries(dim):
    return torch.randn(2, 3, 9, dim, generator=torch.Generator().manual_seed(dim))


def llama(x, dim, base, positions):
    from transformers.models.llama import modeling_llama as peer

    config = peer.LlamaConfig(
        hidden_size=dim * 3,
        num_attention_heads=3,
        head_dim=dim,
        rope_parameters={"rope_type": "default", "rope_theta": base},
    )
    cos, sin = peer.LlamaRotaryEmbedding(config)(x, positions[None])
    return peer.apply_rotary_pos_emb(x, x, cos, sin)[0]


def neox_partial(x, dim, base, positions):
    from transformers.models.gpt_neox import modeling_gpt_neox as peer

    width = x.shape[-1]
    rope = {"rope_type": "default", "rope_theta": base, "partial_rotary_factor": dim / width}
    config = peer.GPTNeoXConfig(hidden_size=width * 3, num_attention_heads=3, rope_parameters=rope)
    cos, sin = peer.GPTNeoXRotaryEmbedding(config)(x, positions[None])
    assert cos.shape[-1] == dim
    return peer.apply_rotary_pos_emb(x, x, cos, sin)[0]


def gptj(x, dim, base, positions):
    from transformers.models.gptj import modeling_gptj as peer

    assert base == 10000.0
    sin, cos = peer.create_sinusoidal_positions(int(positions.max()) + 1, dim)[positions].chunk(2, dim=-1)
    return peer.apply_rotary_pos_emb(x.transpose(1, 2), sin[None], cos[None]).transpose(1, 2)


def roformer(x, dim, base, positions):
    from transformers.models.roformer import modeling_roformer as peer

    assert base == 10000.0
    table = peer.RoFormerSinusoidalPositionalEmbedding(int(positions.max()) + 1, dim)
    table.weight.data = table.create_weight()
    return peer.RoFormerSelfAttention.apply_rotary_position_embeddings(table.weight[positions][None, None], x, x)[0]


def rotary_embedding_torch(x, dim, base, positions):
    from rotary_embedding_torch import RotaryEmbedding

    return RotaryEmbedding(dim, theta=base).rotate_queries_or_keys(x, offset=int(positions[0]))


def x_transformers(x, dim, base, positions):
    from x_transformers import x_transformers as peer

    freqs, scale = peer.RotaryEmbedding(dim, base=base)(positions)
    return peer.apply_rotary_pos_emb(x, freqs, scale)


PEERS = [
    (llama, "transformers", "half", None),
    (gptj, "transformers", "interleaved", 10000.0),
    (roformer, "transformers", "interleaved", 10000.0),
    (rotary_embedding_torch, "rotary_embedding_torch", "interleaved", None),
    (x_transformers, "x_transformers", "interleaved", None),
]


@pytest.mark.filterwarnings("ignore")  # of the peers about themselves
@pytest.mark.parametrize(("dim", "base", "offset"), CASES)
@pytest.mark.parametrize(("peer", "package", "layout", "only"), PEERS, ids=[peer[0].__name__ for peer in PEERS])
def test_rotary_agrees(agrees, peer, package, layout, only, dim, base, offset):
    pytest.importorskip(package)
    base = only or base  # some have no choice of base
    x, positions = queries(dim), torch.arange(9) + offset
    found = Rotary(dim, base=base, layout=layout).on_query(x, positions)
    expected = peer(x, dim, base, positions).detach()
    assert (expected - x).abs().max() > 0.5  # it did turn
    agrees("rotary.rope.Rotary", package.replace("_", "-"), found, expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("dim", "base", "offset"), [case for case in CASES if case[0] == 8])
def test_partial_rotary_agrees_with_gpt_neox(agrees, dim, base, offset):
    pytest.importorskip("transformers")
    x, positions = queries(32), torch.arange(9) + offset
    found = Rotary(dim, base=base, layout="half").on_query(x, positions)
    agrees("rotary.rope.Rotary", "transformers", found, neox_partial(x, dim, base, positions), atol=1e-4)
