"""posemb_ref.relative.transformer_xl agrees with independent implementations, built small and with random weights."""

import pytest
import torch

from posemb_ref.relative.transformer_xl import TransformerXL, scores


def randomise(module, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 3
    return module.eval()


def hidden(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def concatenated(distance, width=12):
    """Sines and then cosines, as XLNet and the authors' code have them."""
    angle = distance[:, None] / 10000.0 ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.cat((angle.sin(), angle.cos()), dim=-1).float()


def interleaved(distance, width=12):
    return concatenated(distance, width).unflatten(-1, (2, -1)).mT.flatten(-2)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")  # of the peer about itself
@pytest.mark.parametrize(("queries", "memory"), [(5, 0), (4, 3), (1, 6)])
@pytest.mark.parametrize("attn_type", ["bi", "uni"])
def test_xlnet(agrees, queries, memory, attn_type):
    pytest.importorskip("transformers")
    from transformers.models.xlnet import modeling_xlnet as peer

    config = peer.XLNetConfig(
        vocab_size=7, d_model=12, n_layer=1, n_head=3, d_inner=8, attn_type=attn_type, dropout=0.0, mem_len=8
    )
    model = randomise(peer.XLNetModel(config), seed=queries)
    layer = model.layer[0].rel_attn
    keys = memory + queries
    h = hidden(keys, 2, 12, seed=1)  # (length, batch, width): XLNet's order of axes
    q = torch.einsum("ibh,hnd->bnid", h[memory:], layer.q)
    k, v = (torch.einsum("jbh,hnd->bnjd", h, weight) for weight in (layer.k, layer.v))
    uni = attn_type == "uni"
    future = torch.ones(queries, keys).triu(memory + 1)[..., None, None] if uni else None
    output, weights = layer.rel_attn_core(
        *(x.permute(2, 0, 1, 3) for x in (q, k, v)),
        torch.einsum("ibh,hnd->ibnd", model.relative_positional_encoding(queries, keys, bsz=2), layer.r),
        attn_mask=future,
        output_attentions=True,
    )

    ours = TransformerXL(4, concatenated, width=12, num_heads=3)
    ours.content_bias.data, ours.position_bias.data = layer.r_w_bias, layer.r_r_bias
    ours.position_projection.data = layer.r.permute(1, 2, 0)
    at = torch.arange(keys)
    r = ours.distance_keys(torch.arange(1 - queries, keys))
    by_function = scores(q, k, r, layer.r_w_bias, layer.r_r_bias) * layer.scale
    by_encoding = ours.scores(q, k, at[memory:], at)
    peer_weights = weights.permute(2, 3, 0, 1)
    for name, found in (("scores", by_function), ("TransformerXL", by_encoding)):
        if uni:
            found = found.masked_fill(future[..., 0, 0].bool(), -torch.inf)
        agrees(f"relative.transformer_xl.{name}", "transformers", found.softmax(-1), peer_weights, atol=1e-5)
    assert peer_weights.std() > 0.05  # neither uniform nor the same everywhere
    found = ours(q, k, v, at[memory:], at, causal=uni)
    agrees("relative.transformer_xl.TransformerXL", "transformers", found, output.permute(1, 2, 0, 3), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 2, 7])
def test_parakeet(agrees, length):
    pytest.importorskip("transformers")
    from transformers.models.parakeet import modeling_parakeet as peer

    config = peer.ParakeetEncoderConfig(hidden_size=12, num_attention_heads=3, num_key_value_heads=3)
    config._attn_implementation = "eager"
    layer = randomise(peer.ParakeetEncoderAttention(config, 0), seed=length)
    x = hidden(2, length, 12, seed=2)
    expected, weights = layer(x, peer.ParakeetEncoderRelPositionalEncoding(config)(x))

    ours = TransformerXL(4, interleaved, width=12, num_heads=3)
    ours.content_bias.data, ours.position_bias.data = layer.bias_u, layer.bias_v
    ours.position_projection.data = layer.relative_k_proj.weight.unflatten(0, (3, 4))
    q, k, v = (
        project(x).unflatten(-1, (3, 4)).transpose(1, 2) for project in (layer.q_proj, layer.k_proj, layer.v_proj)
    )
    at = torch.arange(length)
    torch.testing.assert_close(ours.scores(q, k, at, at).softmax(-1), weights, rtol=0, atol=1e-5)
    found = layer.o_proj(ours(q, k, v, at, at).transpose(1, 2).flatten(-2))
    agrees("relative.transformer_xl.TransformerXL", "transformers", found, expected, atol=1e-5)
    assert length == 1 or weights.std() > 0.05


def rows_for(distance, r, r_distance, count):
    """Put the keys of the distances that a peer has into the order of `scores`, and zeros where it has none."""
    rows = torch.zeros(*r.shape[:-2], count, r.shape[-1])
    wanted = r_distance - distance
    inside = (wanted >= 0) & (wanted < count)
    rows[..., wanted[inside], :] = r[..., inside, :]
    return rows


@torch.no_grad()
def test_transformer_xl_before_transformers_let_it_go(agrees, recorded):
    peer, arrays = recorded("transformers")
    q, k, r = (arrays[name].transpose(0, 1) for name in ("q", "k", "r"))
    valid, u, v = arrays["valid"], arrays["u"], arrays["v"]
    found = scores(q, k, rows_for(-4, r, arrays["r_distance"], 16), u, v) * arrays["scale"]
    agrees("relative.transformer_xl.scores", peer, found * valid, arrays["scores"], atol=1e-5)

    ours = TransformerXL(4, concatenated, width=12, num_heads=3)
    ours.content_bias.data, ours.position_bias.data = u, v
    ours.position_projection.data = arrays["W_r"].unflatten(0, (3, 4))
    at = torch.arange(12)
    found = ours.scores(q, k, at[7:], at) * valid
    agrees("relative.transformer_xl.TransformerXL", peer, found, arrays["scores"], atol=1e-5)
    assert valid.sum() == 7 * 5 + 15


@torch.no_grad()
def test_the_scores_agree_with_the_xlnet_of_keras_hub(agrees, recorded):
    peer, arrays = recorded("keras-hub")
    q, k, r, r_distance, u, v, expected = (
        arrays[f"xlnet_{name}"] for name in ("q", "k", "r", "r_distance", "u", "v", "scores")
    )
    found = scores(q, k, rows_for(-4, r, r_distance, 16), u, v) / 2
    agrees("relative.transformer_xl.scores", peer, found, expected, atol=1e-5)

    ours = TransformerXL(
        4, lambda distance: torch.nn.functional.one_hot(12 - distance, 17).float(), width=17, num_heads=3
    )
    ours.content_bias.data, ours.position_bias.data, ours.position_projection.data = u, v, r.mT
    found = ours.scores(q, k, torch.arange(7, 12), torch.arange(12))
    agrees("relative.transformer_xl.TransformerXL", peer, found, expected, atol=1e-5)


@torch.no_grad()
def test_speechbrain_which_scales_by_the_width_of_the_model(agrees, recorded):
    peer, arrays = recorded("speechbrain")
    q, k, val, u, v, expected = (arrays[name] for name in ("q", "k", "val", "u", "v", "weights"))
    found = scores(q, k, rows_for(-6, arrays["r"], arrays["r_distance"], 13), u, v) * arrays["scale"]
    agrees("relative.transformer_xl.scores", peer, found.softmax(-1), expected, atol=1e-5)

    ours = TransformerXL(4, lambda distance: arrays["vectors"][6 - distance], width=12, num_heads=3)
    ours.content_bias.data, ours.position_bias.data, ours.scale = u, v, float(arrays["scale"])
    ours.position_projection.data = arrays["W_r"].unflatten(0, (3, 4))
    at = torch.arange(7)
    agrees("relative.transformer_xl.TransformerXL", peer, ours(q, k, val, at, at), arrays["output"], atol=1e-5)
