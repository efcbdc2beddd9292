"""posemb_ref.relative.deberta against the DeBERTas of transformers, built small and random, and recorded ones.

All of them compute the released form. The recorded ones are Microsoft's own and keras-hub's.
"""

import math

import pytest
import torch

from posemb_ref.relative.deberta import DeBERTa, bucket, disentangled_scores, relative_index

HEADS, DIM, LENGTH = 3, 8, 17
SIZES = {
    "vocab_size": 5,
    "hidden_size": HEADS * DIM,
    "num_attention_heads": HEADS,
    "num_hidden_layers": 1,
    "intermediate_size": 4,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
}
# name, maximum distance, num_buckets: shorter and longer than the text, with buckets and without
CASES = [("v1", 40, None), ("v1", 6, None), ("v2", 40, None), ("v2", 6, None), ("v2", 20, 6), ("v2", 12, 8)]


def heads(x):
    return x.unflatten(-1, (HEADS, DIM)).transpose(-2, -3)


def peer_v1(reach, _):
    from transformers.models.deberta import modeling_deberta as peer

    attention = peer.DisentangledSelfAttention(peer.DebertaConfig(**SIZES, max_relative_positions=reach))
    span = min(LENGTH, reach)  # it takes the middle of its table

    def parts(x, table):
        q, k, _ = attention.transpose_for_scores(attention.in_proj(x)).chunk(3, dim=-1)
        q = q + attention.transpose_for_scores(attention.q_bias[None, None, :])
        middle = table[reach - span : reach + span]
        return q, k, heads(attention.pos_q_proj(middle)), heads(attention.pos_proj(middle)), span

    return peer, attention, parts


def peer_v2(reach, num_buckets):
    from transformers.models.deberta_v2 import modeling_deberta_v2 as peer

    config = peer.DebertaV2Config(**SIZES, max_relative_positions=reach, position_buckets=num_buckets or -1)
    attention = peer.DisentangledSelfAttention(config)

    def parts(x, table):
        q, k = heads(attention.query_proj(x)), heads(attention.key_proj(x))
        position_q, position_k = heads(attention.pos_query_proj(table)), heads(attention.pos_key_proj(table))
        return q, k, position_q, position_k, len(table) // 2

    return peer, attention, parts


def compared(name, reach, num_buckets):
    """Return the peer's attention weights and position terms, with our arguments for the same."""
    pytest.importorskip("transformers")
    torch.manual_seed(3)
    peer, attention, parts = {"v1": peer_v1, "v2": peer_v2}[name](reach, num_buckets)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    attention.eval()
    x, table = torch.randn(2, LENGTH, HEADS * DIM), torch.randn(2 * (num_buckets or reach), HEADS * DIM)
    *tensors, span = parts(x, table)
    positions = torch.arange(LENGTH)
    distance = positions[:, None] - positions
    if num_buckets:
        relative = peer.make_log_bucket_position(distance, num_buckets, reach).long()
    else:
        relative = distance
    mask = torch.ones(2, 1, LENGTH, LENGTH, dtype=torch.bool)
    _, weights = attention(x, mask, output_attentions=True, relative_pos=relative[None], rel_embeddings=table)
    index = relative_index(bucket(distance, num_buckets=num_buckets, max_position=reach), span=span)
    return weights.detach(), [value.detach() for value in tensors], index, span


@pytest.mark.parametrize(("name", "reach", "num_buckets"), CASES)
def test_the_released_form_is_that_of_transformers(agrees, name, reach, num_buckets):
    weights, tensors, index, _ = compared(name, reach, num_buckets)
    found = disentangled_scores(*tensors, index, p2c="released").softmax(-1)
    agrees("relative.deberta.disentangled_scores", "transformers", found, weights, atol=1e-5)
    paper = disentangled_scores(*tensors, index).softmax(-1)
    assert (paper - weights).abs().max() > 0.1  # and equation (4) is another


@pytest.mark.parametrize(("name", "reach", "num_buckets"), CASES)
def test_every_head_is_that_of_the_encoding(agrees, name, reach, num_buckets):
    weights, (q, k, position_q, position_k), _, span = compared(name, reach, num_buckets)
    positions = torch.arange(LENGTH) + 70
    for head in range(HEADS):
        encoding = DeBERTa(DIM, span=span, num_buckets=num_buckets, max_position=reach, p2c="released")
        encoding.position_q.data, encoding.position_k.data = position_q[head], position_k[head]
        found = encoding.scores(q[:, head], k[:, head], positions, positions).softmax(-1).detach()
        agrees("relative.deberta.DeBERTa", "transformers", found, weights[:, head], atol=1e-5)


@pytest.mark.parametrize("num_buckets", [2, 3, 6, 7, 32, 64, 256, 512])
@pytest.mark.parametrize("factor", [1, 1.7, 2, 4, 16])
def test_buckets_are_bit_for_bit_those_of_transformers(agrees, num_buckets, factor):
    pytest.importorskip("transformers")
    from transformers.models.deberta_v2 import modeling_deberta_v2 as peer

    max_position = max(num_buckets // 2 + 2, int(factor * num_buckets))
    distance = torch.arange(-3 * max_position, 3 * max_position + 1)
    expected = peer.make_log_bucket_position(distance, num_buckets, max_position)
    found = bucket(distance, num_buckets=num_buckets, max_position=max_position)
    agrees("relative.deberta.bucket", "transformers", found.double(), expected.double(), atol=0)


@torch.no_grad()
@pytest.mark.parametrize(("reach", "num_buckets"), [case[1:] for case in CASES if case[0] == "v2"])
def test_every_row_is_that_of_transformers(agrees, reach, num_buckets):
    pytest.importorskip("transformers")
    peer, attention, _ = peer_v2(reach, num_buckets)
    span, width = num_buckets or reach, HEADS * DIM
    attention.pos_att_type = ["c2p"]
    attention.pos_key_proj.weight.data, attention.pos_key_proj.bias.data = torch.eye(width), torch.zeros(width)
    ones = torch.ones(HEADS, LENGTH, DIM)
    rows = torch.arange(2.0 * span)[:, None].expand(-1, width)  # row t holds t, so that the term is its own index
    term = attention.disentangled_attention_bias(ones, ones, None, rows, 2) * math.sqrt(2 * DIM) / DIM
    positions = torch.arange(LENGTH)
    distance = bucket(positions[:, None] - positions, num_buckets=num_buckets, max_position=reach)
    agrees("relative.deberta.relative_index", "transformers", relative_index(distance, span=span), term[0], atol=1e-4)


RECORDED = [("DeBERTa", "linear", 6, None, None), ("DeBERTa", "log", 8, 8, 32), ("keras-hub", "deberta", 8, 8, 32)]


@torch.no_grad()
@pytest.mark.parametrize(("name", "case", "span", "num_buckets", "max_position"), RECORDED)
def test_rows_and_scores_are_the_recorded_ones(agrees, evidence, recorded, name, case, span, num_buckets, max_position):
    peer, arrays = recorded(name)
    q, k, position_q, position_k = (arrays[f"{case}_{part}"] for part in ("q", "k", "position_q", "position_k"))
    expected = arrays[f"{case}_scores"]
    positions = torch.arange(q.shape[-2])
    distance = positions[:, None] - positions
    index = relative_index(bucket(distance, num_buckets=num_buckets, max_position=max_position), span=span)
    agrees("relative.deberta.relative_index", peer, index, arrays[f"{case}_index"].long(), atol=0)
    found = disentangled_scores(q, k, position_q, position_k, index, p2c="released")
    agrees("relative.deberta.disentangled_scores", peer, found, expected, atol=1e-5)
    assert (disentangled_scores(q, k, position_q, position_k, index) - expected).abs().max() > 0.1
    for head in range(HEADS):
        encoding = DeBERTa(4, span=span, num_buckets=num_buckets, max_position=max_position, p2c="released")
        encoding.position_q.data, encoding.position_k.data = position_q[head], position_k[head]
        found = encoding.scores(q[head], k[head], positions + 70, positions + 70)
        agrees("relative.deberta.DeBERTa", peer, found, expected[head], atol=1e-5)
    for function in ("disentangled_scores", "DeBERTa"):
        remark = (
            "All of them compute the released form; no package is known that has equation (4) as the paper prints it"
        )
        evidence(f"relative.deberta.{function}", "note", remark)


@pytest.mark.parametrize(("num_buckets", "max_position"), [(256, 512), (32, 128), (8, 32)])
@pytest.mark.parametrize(("name", "prefix"), [("DeBERTa", ""), ("keras-hub", "deberta_")])
def test_every_bucket_is_the_recorded_one(agrees, recorded, name, prefix, num_buckets, max_position):
    peer, arrays = recorded(name)
    found = bucket(arrays[f"{prefix}distance"], num_buckets=num_buckets, max_position=max_position)
    expected = arrays[f"{prefix}bucket_{num_buckets}_{max_position}"].long()
    agrees("relative.deberta.bucket", peer, found, expected, atol=0)


def test_the_scale_counts_the_terms():
    pytest.importorskip("transformers")
    from transformers.models.deberta_v2 import modeling_deberta_v2 as peer

    vectors = torch.zeros(1, DIM)
    assert peer.scaled_size_sqrt(vectors, 3).item() == pytest.approx(math.sqrt(3 * DIM))
    assert DeBERTa(DIM, span=2).scale == pytest.approx(1 / math.sqrt(3 * DIM))
