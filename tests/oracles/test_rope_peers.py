"""posemb_ref agrees with independent implementations, each of which makes its own frequencies and tables."""

import pytest
import torch

from posemb_ref.rotary.rope import Rotary, frequencies, rotate, rotation_matrix, tables

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


def by_llama(x, angle):
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    both = torch.cat((angle, angle), dim=-1)
    return apply_rotary_pos_emb(x, x, both.cos()[None], both.sin()[None])[0]


def by_gptj(x, angle):
    from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb

    return apply_rotary_pos_emb(x.transpose(1, 2), angle.sin()[None], angle.cos()[None]).transpose(1, 2)


def by_rotary_embedding_torch(x, angle):
    from rotary_embedding_torch import apply_rotary_emb

    return apply_rotary_emb(angle.repeat_interleave(2, dim=-1), x)


def by_x_transformers(x, angle):
    from x_transformers.x_transformers import apply_rotary_pos_emb

    return apply_rotary_pos_emb(x, angle.repeat_interleave(2, dim=-1)[None])


TURNS = [
    (by_llama, "transformers", "half"),
    (by_gptj, "transformers", "interleaved"),
    (by_rotary_embedding_torch, "rotary_embedding_torch", "interleaved"),
    (by_x_transformers, "x_transformers", "interleaved"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dim", [2, 6, 64])
@pytest.mark.parametrize(("peer", "package", "layout"), TURNS, ids=[peer[0].__name__ for peer in TURNS])
def test_rotate_turns_by_any_angles_as_they_do(agrees, peer, package, layout, dim):
    pytest.importorskip(package)
    x = queries(dim)
    angle = 6 * torch.randn(9, dim // 2, generator=torch.Generator().manual_seed(1))
    found = rotate(x, angle.cos(), angle.sin(), layout=layout)
    agrees("rotary.rope.rotate", package.replace("_", "-"), found, peer(x, angle), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("position", [0, 1, 7, 300])
@pytest.mark.parametrize(("peer", "package"), [turn[:2] for turn in TURNS[1:]])
def test_the_matrix_has_their_turned_axes_for_columns(agrees, peer, package, position):
    pytest.importorskip(package)
    angle = position * 10000.0 ** (-torch.arange(0, 8, 2) / 8)
    axes = torch.eye(8)[None, None]
    expected = peer(axes, angle.expand(8, -1))[0, 0].mT
    agrees("rotary.rope.rotation_matrix", package.replace("_", "-"), rotation_matrix(position, 8), expected, atol=1e-4)


@pytest.mark.parametrize("layout", ["interleaved", "half"])
@pytest.mark.parametrize("turning", [16, 8])
def test_rotate_agrees_with_the_reference_of_onnx(agrees, recorded, turning, layout):
    peer, arrays = recorded("onnx")
    cos, sin = (arrays[f"{name}_rd{turning}"] for name in ("cos", "sin"))
    expected = arrays[f"y_rd{turning}_{layout}"]
    agrees("rotary.rope.rotate", peer, rotate(arrays["x"], cos, sin, layout=layout), expected, atol=1e-6)


@pytest.mark.parametrize("layout", ["interleaved", "half"])
@pytest.mark.parametrize("base", [10000, 500000])
@pytest.mark.parametrize("turning", [32, 16])
def test_ggml_which_multiplies_its_way_from_angle_to_angle(agrees, recorded, turning, base, layout):
    peer, arrays = recorded("ggml-python")
    x, positions, expected = arrays["x"], arrays["positions"], arrays[f"y_base{base}_rd{turning}_{layout}"]
    tables_at = tables(positions, frequencies(turning, base=float(base)))
    # Its float32 angle at position 4095 is off by 1e-4.
    agrees("rotary.rope.rotate", peer, rotate(x, *tables_at, layout=layout), expected, atol=5e-4)
    found = Rotary(turning, base=float(base), layout=layout).on_query(x, positions)
    agrees("rotary.rope.Rotary", peer, found, expected, atol=5e-4)


@pytest.mark.parametrize("base", [10000, 500000])
def test_local_attention_which_has_the_half_layout(agrees, recorded, base):
    peer, arrays = recorded("local-attention")
    found = Rotary(16, base=float(base), layout="half").on_query(arrays["x"], arrays["positions"])
    agrees("rotary.rope.Rotary", peer, found, arrays[f"y_{base}"], atol=1e-4)
    angle = arrays[f"angles_{base}"][:, :8]
    found = rotate(arrays["x"], angle.cos(), angle.sin(), layout="half")
    agrees("rotary.rope.rotate", peer, found, arrays[f"y_{base}"], atol=1e-5)
