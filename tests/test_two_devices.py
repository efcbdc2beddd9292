"""Tensors on two devices are refused, and a result stays on the device of its input. PyTorch's meta device, which every
machine has, is the second one here."""

from itertools import combinations

import pytest
import torch

from posemb_ref import expect
from posemb_ref.absolute.learned import LearnedEncoding
from posemb_ref.absolute.sinusoidal import sinusoidal
from posemb_ref.attention import attention
from posemb_ref.distance import distances, shift
from posemb_ref.relative import deberta, t5, transformer_xl
from posemb_ref.relative.shaw import Shaw, clip_distance, shaw_attention
from posemb_ref.rotary.decay import abel_bound
from posemb_ref.rotary.layout import to_half
from posemb_ref.rotary.linear_attention import linear_attention
from posemb_ref.rotary.rope import Rotary, rotate, tables

x, cos, at, index = torch.ones(3, 4), torch.ones(3, 2), torch.arange(3), torch.ones(3, 3, dtype=torch.int64)
bias, table, heads = torch.ones(4), torch.ones(2, 4), torch.ones(2, 3, 4)

CALLS = {
    "attention": (attention, {"q": x, "k": x, "v": x}),
    "attention's bias": (lambda bias: attention(x, x, x, bias=bias), {"bias": cos[:, :1]}),
    "distances": (distances, {"query_positions": at, "key_positions": at}),
    "rotate": (rotate, {"x": x, "cos": cos, "sin": cos}),
    "abel_bound": (abel_bound, {"q": x, "k": x, "distance": at}),
    "linear_attention": (linear_attention, {"q": x, "k": x, "v": x}),
    "LearnedEncoding": (LearnedEncoding(5, 4), {"positions": at}),
    "shaw_attention": (
        lambda **tensors: shaw_attention(**tensors, max_distance=1),
        {"q": x, "k": x, "v": x, "key_table": torch.ones(3, 4), "value_table": torch.ones(3, 4)},
    ),
    "Shaw, scores": (lambda q: Shaw(4, max_distance=1)(q, x, x, at, at), {"q": x}),
    "Shaw, values": (lambda v: Shaw(4, max_distance=1)(x, x, v, at, at), {"v": x}),
    "T5": (t5.T5(2).scores, {"q": heads, "k": heads, "query_positions": at, "key_positions": at}),
    "Transformer-XL, scores": (
        transformer_xl.scores,
        {"q": x, "k": x, "distance_keys": torch.ones(5, 4), "content_bias": bias, "position_bias": bias},
    ),
    "Transformer-XL": (lambda q: transformer_xl.TransformerXL(4, sinusoidal).on_query(q, at), {"q": x}),
    "disentangled_scores": (
        deberta.disentangled_scores,
        {"q": x, "k": x, "position_q": table, "position_k": table, "index": index},
    ),
    "disentangled_scores' reversed_index": (
        lambda reversed_index: deberta.disentangled_scores(x, x, table, table, index, reversed_index=reversed_index),
        {"reversed_index": index},
    ),
    "DeBERTa": (deberta.DeBERTa(4, span=2).scores, {"q": x, "k": x, "query_positions": at, "key_positions": at}),
}
WITH_A_TENSOR_OF_THEIR_OWN = {
    "attention's bias",
    "LearnedEncoding",
    "Shaw, scores",
    "Shaw, values",
    "T5",
    "Transformer-XL",
    "disentangled_scores' reversed_index",
    "DeBERTa",
}


@pytest.mark.parametrize("name", CALLS)
def test_tensors_on_two_devices_are_refused(name, untyped, monkeypatch):
    monkeypatch.setattr(expect, "all_finite", lambda name, value: None)  # tensors on meta have no values
    call, tensors = CALLS[name]
    call(**tensors)
    for count in range(1, len(tensors) + (name in WITH_A_TENSOR_OF_THEIR_OWN)):
        for moved in combinations(tensors, count):
            with pytest.raises(ValueError, match="on one device"):
                call(**{key: value.to("meta") if key in moved else value for key, value in tensors.items()})


RESULTS = {
    "attention": lambda on: attention(on(x), on(x), on(x), causal=True),
    "distances": lambda on: distances(on(at), on(at)),
    "shift": lambda on: shift(on(torch.ones(3, 5))),
    "sinusoidal": lambda on: sinusoidal(on(at), 4),
    "to_half": lambda on: to_half(on(x.mT), 2),
    "tables": lambda on: tables(on(at), torch.ones(2))[0],
    "Rotary": lambda on: Rotary(4).on_query(on(x), on(at)),
    "rotate": lambda on: rotate(on(x), on(cos), on(cos), layout="half"),
    "abel_bound": lambda on: abel_bound(on(x), on(x), on(at)),
    "clip_distance": lambda on: clip_distance(on(at), -1, 1),
    "Shaw, scores": lambda on: on(Shaw(4, max_distance=1)).on_scores(on(x), on(x), on(at), on(at)),
    "Shaw, values": lambda on: on(Shaw(4, max_distance=1)).on_values(on(index.float()), on(at), on(at)),
    "T5's bucket": lambda on: t5.bucket(on(at)),
    "T5": lambda on: on(t5.T5(2)).on_scores(on(heads), on(heads), on(at), on(at)),
    "DeBERTa's bucket": lambda on: deberta.bucket(on(at), num_buckets=4, max_position=9),
    "DeBERTa": lambda on: on(deberta.DeBERTa(4, span=2)).on_scores(on(x), on(x), on(at), on(at)),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_stays_on_the_device_of_its_input(name, untyped, monkeypatch):
    monkeypatch.setattr(expect, "all_finite", lambda name, value: None)
    assert RESULTS[name](lambda value: value).device.type == "cpu"
    assert RESULTS[name](lambda value: value.to("meta")).device.type == "meta"


def test_positions_are_made_on_the_device_of_the_keys_and_not_on_the_default_one(untyped):
    tables = torch.ones(2, 3, 4)
    with torch.device("meta"):
        assert shaw_attention(x, x, x, *tables, max_distance=1).device.type == "cpu"
