"""posemb_ref's Shaw attention agrees with three speech models that carry it, and says where each departs from the paper.

VITS has both tables, and forgets what lies outside its window instead of clipping it; W2V-BERT has a table for the keys
only, with a longer reach to the left than to the right; SpeechT5 has one row too few for a symmetric clip. The authors' own
code and a translator that took it up are compared as recorded.
"""

import pytest
import torch

from posemb_ref.distance import distances
from posemb_ref.relative.shaw import Shaw, clip_distance, shaw_attention


def randomise(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5
    return module.eval()


def hidden(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def heads(x, projection, dim):
    return projection(x).unflatten(-1, (-1, dim)).transpose(1, 2)


def shaw(key_table, value_table):
    made = Shaw(key_table.shape[1], max_distance=len(key_table) // 2)
    made.key_table.data, made.value_table.data = key_table.clone(), value_table.clone()
    return made.requires_grad_(False)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 2, 4, 5, 6, 30])
@pytest.mark.parametrize("window", [1, 4])
def test_vits_which_forgets_beyond_its_window(agrees, length, window):
    pytest.importorskip("transformers")
    from transformers.models.vits.modeling_vits import VitsAttention, VitsConfig

    config = VitsConfig(hidden_size=12, num_attention_heads=3, window_size=window)
    layer, x = randomise(VitsAttention(config)), hidden(2, length, 12)
    expected, _ = layer(x)
    # Its distance is key less query; and rows of zeros at both ends turn clipping into forgetting.
    tables = [torch.nn.functional.pad(table[0].flip(0), (0, 0, 1, 1)) for table in (layer.emb_rel_k, layer.emb_rel_v)]
    q, k, v = (heads(x, project, 4) for project in (layer.q_proj, layer.k_proj, layer.v_proj))
    n = torch.arange(length)
    found = layer.out_proj(shaw(*tables)(q, k, v, n, n).transpose(1, 2).flatten(-2))
    agrees("relative.shaw.Shaw", "transformers", found, expected, atol=1e-5)
    found = shaw_attention(q, k, v, *tables, max_distance=window + 1)
    found = layer.out_proj(found.transpose(1, 2).flatten(-2))
    agrees("relative.shaw.shaw_attention", "transformers", found, expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("left", "right"), [(4, 4), (6, 2), (1, 1)])
@pytest.mark.parametrize("length", [1, 3, 20])
def test_wav2vec2_bert_which_reaches_farther_to_the_left(agrees, left, right, length):
    pytest.importorskip("transformers")
    from transformers.models.wav2vec2_bert.modeling_wav2vec2_bert import Wav2Vec2BertConfig, Wav2Vec2BertSelfAttention

    config = Wav2Vec2BertConfig(
        hidden_size=12,
        num_attention_heads=3,
        position_embeddings_type="relative_key",
        left_max_position_embeddings=left,
        right_max_position_embeddings=right,
    )
    config._attn_implementation = "eager"
    layer, x = randomise(Wav2Vec2BertSelfAttention(config)), hidden(2, length, 12)
    expected = layer(x)[0]
    # Row t is for key less query = t − left. Ours reaches equally far to both sides, so the outer rows are repeated.
    reach, by_distance = max(left, right), layer.distance_embedding.weight.flip(0)
    row = clip_distance(torch.arange(-reach, reach + 1), -right, left) + right
    key_table = by_distance[row]
    q, k, v = (heads(x, project, 4) for project in (layer.linear_q, layer.linear_k, layer.linear_v))
    n = torch.arange(length)
    found = layer.linear_out(shaw(key_table, torch.zeros_like(key_table))(q, k, v, n, n).transpose(1, 2).flatten(-2))
    agrees("relative.shaw.clip_distance", "transformers", found, expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 3, 20])
def test_speecht5_whose_table_lacks_the_last_row(agrees, length):
    pytest.importorskip("transformers")
    from transformers.models.speecht5 import modeling_speecht5 as peer

    layer = randomise(peer.SpeechT5Attention(12, 3))
    positions = randomise(peer.SpeechT5RelativePositionalEncoding(4, max_length=5), seed=3)
    x = hidden(2, length, 12)
    expected = layer(x, position_bias=positions(x))[0]
    # Its distance is query less key, as in this book, clipped to −5 … 4.
    table = positions.pe_k.weight
    key_table = torch.cat((table, table[-1:]))
    q, k, v = (heads(x, project, 4) for project in (layer.q_proj, layer.k_proj, layer.v_proj))
    n = torch.arange(length)
    found = layer.out_proj(shaw(key_table, torch.zeros_like(key_table))(q, k, v, n, n).transpose(1, 2).flatten(-2))
    agrees("relative.shaw.Shaw", "transformers", found, expected, atol=1e-5)
    assert torch.equal(positions(x), table[clip_distance(distances(n, n), -5, 4) + 5])


@torch.no_grad()
@pytest.mark.parametrize("clip", [3, 20])
def test_tensor2tensor_where_the_authors_published_it(agrees, recorded, clip):
    peer, arrays = recorded("tensor2tensor")
    names = ("q", "k", "v", "key_table", "value_table", "logits", "output")
    q, k, v, key_table, value_table, logits, output = (arrays[f"{name}_clip{clip}"] for name in names)
    tables = key_table.flip(0), value_table.flip(0)  # row 0 is that of the farthest key in the past
    n = torch.arange(q.shape[-2])
    agrees("relative.shaw.Shaw", peer, shaw(*tables)(q, k, v, n, n), output, atol=1e-5)
    agrees("relative.shaw.shaw_attention", peer, shaw_attention(q, k, v, *tables, max_distance=clip), output, atol=1e-5)
    by_row = tables[0][clip_distance(distances(n, n), -clip, clip) + clip]
    found = (q[..., None, :] * (k[..., None, :, :] + by_row)).sum(-1) / 2  # √4
    agrees("relative.shaw.clip_distance", peer, found, logits, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("clip", [3, 20])
def test_opennmt_with_one_table_for_keys_and_values(agrees, recorded, clip):
    peer, arrays = recorded("OpenNMT-py")
    q, k, v, table, output = (arrays[f"shaw{clip}_{name}"] for name in ("q", "k", "v", "table", "output"))
    tables = table.flip(0), table.flip(0)  # its distance is key less query
    n = torch.arange(q.shape[-2])
    # Its vectors are float64, and its softmax float32.
    agrees("relative.shaw.Shaw", peer, shaw(*tables)(q, k, v, n, n), output, atol=1e-6)
    agrees("relative.shaw.shaw_attention", peer, shaw_attention(q, k, v, *tables, max_distance=clip), output, atol=1e-6)
    if clip == 3:
        found = 3 - clip_distance(distances(n, n), -3, 3)
        agrees("relative.shaw.clip_distance", peer, found, arrays["shaw3_row"], atol=0)
