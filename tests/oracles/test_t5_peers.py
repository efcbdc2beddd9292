"""posemb_ref's T5 agrees with independent implementations: buckets bit for bit, biases, and a whole attention."""

import pytest
import torch

from posemb_ref.relative.t5 import T5, bucket

# The last two hold distances at which float64 would give another bucket than float32.
TABLES = [(32, 128), (32, 256), (16, 64), (64, 1024), (8, 9), (320, 800), (36, 32), (72, 64)]
DISTANCES = torch.arange(-2000, 2001)


def transformers_bucket(distance, num_buckets, max_distance, bidirectional):
    from transformers.models.t5.modeling_t5 import T5Attention

    return T5Attention._relative_position_bucket(
        -distance, bidirectional=bidirectional, num_buckets=num_buckets, max_distance=max_distance
    )


def x_transformers_bucket(distance, num_buckets, max_distance, bidirectional):
    from x_transformers.x_transformers import RelativePositionBias

    return RelativePositionBias._relative_position_bucket(
        -distance, causal=not bidirectional, num_buckets=num_buckets, max_distance=max_distance
    )


PEERS = [(transformers_bucket, "transformers"), (x_transformers_bucket, "x_transformers")]


@pytest.mark.filterwarnings("ignore")  # of the peers about themselves
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), TABLES)
@pytest.mark.parametrize(("peer", "package"), PEERS, ids=[peer[0].__name__ for peer in PEERS])
def test_every_bucket_is_the_same(agrees, peer, package, num_buckets, max_distance, bidirectional):
    pytest.importorskip(package)
    found = bucket(DISTANCES, num_buckets=num_buckets, max_distance=max_distance, bidirectional=bidirectional)
    expected = peer(DISTANCES, num_buckets, max_distance, bidirectional)
    assert len(expected.unique()) > 3
    agrees("relative.t5.bucket", package.replace("_", "-"), found, expected, atol=0)


@pytest.mark.filterwarnings("ignore")
def test_many_small_tables_have_the_same_buckets():
    pytest.importorskip("transformers")
    for num_buckets in range(2, 130, 3):
        for max_distance in range(num_buckets // 2 + 1, 300, 7):
            distance = torch.arange(-2, max_distance + 3)
            found = bucket(distance, num_buckets=num_buckets, max_distance=max_distance, bidirectional=False)
            expected = transformers_bucket(distance, num_buckets, max_distance, False)
            assert torch.equal(found, expected), (num_buckets, max_distance)


def peer_attention(heads, dim, decoder, num_buckets, max_distance):
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5Attention

    torch.manual_seed(0)
    config = T5Config(
        d_model=24,
        d_kv=dim,
        num_heads=heads,
        relative_attention_num_buckets=num_buckets,
        relative_attention_max_distance=max_distance,
        is_decoder=decoder,
        dropout_rate=0.0,
    )
    attention = T5Attention(config, has_relative_attention_bias=True, layer_idx=0).eval()
    for weight in attention.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    ours = T5(heads, num_buckets=num_buckets, max_distance=max_distance, bidirectional=not decoder)
    ours.load_state_dict({"table": attention.relative_attention_bias.weight})
    return attention, ours


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("decoder", [False, True])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20)])
@pytest.mark.parametrize(("queries", "keys", "past"), [(1, 1, 0), (150, 150, 0), (1, 200, 199), (5, 40, 35)])
def test_the_bias_agrees_with_transformers(agrees, queries, keys, past, num_buckets, max_distance, decoder):
    pytest.importorskip("transformers")
    peer, ours = peer_attention(3, 8, decoder, num_buckets, max_distance)
    expected = peer.compute_bias(queries, keys, past_seen_tokens=past)[0]
    q, k = torch.zeros(3, queries, 8), torch.zeros(3, keys, 8)
    found = ours.on_scores(q, k, torch.arange(queries) + past, torch.arange(keys))
    agrees("relative.t5.T5", "transformers", found, expected, atol=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("decoder", [False, True])
def test_attention_agrees_with_transformers(agrees, decoder):
    pytest.importorskip("transformers")
    peer, ours = peer_attention(3, 8, decoder, 8, 20)
    x, at = torch.randn(2, 30, 24, generator=torch.Generator().manual_seed(1)), torch.arange(30)
    future = torch.full((30, 30), torch.finfo(torch.float32).min).triu(1)[None, None] if decoder else None
    expected = peer(x, mask=future)[0]
    q, k, v = (project(x).unflatten(-1, (3, 8)).transpose(1, 2) for project in (peer.q, peer.k, peer.v))
    found = peer.o(ours(q, k, v, at, at, causal=decoder).transpose(1, 2).flatten(-2))
    agrees("relative.t5.T5", "transformers", found, expected, atol=2e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_bias_agrees_with_x_transformers(agrees, bidirectional):
    pytest.importorskip("x_transformers")
    from x_transformers.x_transformers import RelativePositionBias

    peer = RelativePositionBias(scale=1.0, causal=not bidirectional, num_buckets=16, max_distance=50, heads=4)
    ours = T5(4, num_buckets=16, max_distance=50, bidirectional=bidirectional)
    ours.load_state_dict({"table": peer.relative_attention_bias.weight})
    found = ours.on_scores(torch.zeros(4, 9, 2), torch.zeros(4, 120, 2), torch.arange(111, 120), torch.arange(120))
    agrees("relative.t5.T5", "x-transformers", found, peer(9, 120), atol=0)


@pytest.mark.parametrize("direction", ["bidirectional", "causal"])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (64, 256), (36, 32), (72, 64)])
@pytest.mark.parametrize("name", ["OpenNMT-py", "torchscale"])
def test_every_bucket_is_the_recorded_one(agrees, recorded, name, num_buckets, max_distance, direction):
    peer, arrays = recorded(name)
    sizes = {"num_buckets": num_buckets, "max_distance": max_distance, "bidirectional": direction == "bidirectional"}
    expected = arrays[f"bucket_{num_buckets}_{max_distance}_{direction}"].long()
    assert len(expected.unique()) > num_buckets // 2
    agrees("relative.t5.bucket", peer, bucket(arrays["distance"], **sizes), expected, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("direction", ["bidirectional", "causal"])
def test_the_bias_agrees_with_torchscale(agrees, recorded, direction):
    peer, arrays = recorded("torchscale")
    ours = T5(4, bidirectional=direction == "bidirectional")
    ours.load_state_dict({"table": arrays[f"table_{direction}"]})
    found = ours.on_scores(torch.zeros(4, 6, 2), torch.zeros(4, 200, 2), torch.arange(194, 200), torch.arange(200))
    agrees("relative.t5.T5", peer, found, arrays[f"bias_{direction}"], atol=0)


@torch.no_grad()
def test_attention_agrees_with_opennmt_which_scales_its_scores(agrees, recorded):
    peer, arrays = recorded("OpenNMT-py")
    ours = T5(3, num_buckets=8, max_distance=20)
    ours.load_state_dict({"table": arrays["t5_table"]})
    q, k, v, output = (arrays[f"t5_{name}"] for name in ("q", "k", "v", "output"))
    at = torch.arange(30)
    found = ours(q / 2, k, v, at, at)  # √4, which T5 leaves to its weights
    agrees("relative.t5.T5", peer, found, output, atol=1e-5)
