"""LearnedEncoding agrees with the embeddings of BERT and RoBERTa, built from small random configurations."""

import pytest
import torch

from posemb_ref import Absolute
from posemb_ref.absolute.learned import LearnedEncoding

SENTENCES = torch.tensor([[5, 7, 2, 9, 4], [3, 8, 1, 1, 1]])  # 1 is padding
OPTIONS = {"vocab_size": 11, "hidden_size": 12, "num_attention_heads": 2, "type_vocab_size": 2, "pad_token_id": 1}


def embeddings(name, max_positions):
    """Build the peer, and ours holding its table."""
    from transformers.models.bert import modeling_bert
    from transformers.models.roberta import modeling_roberta

    torch.manual_seed(0)
    module, config, peer = {
        "bert": (modeling_bert, "BertConfig", "BertEmbeddings"),
        "roberta": (modeling_roberta, "RobertaConfig", "RobertaEmbeddings"),
    }[name]
    theirs = getattr(module, peer)(getattr(module, config)(max_position_embeddings=max_positions, **OPTIONS)).eval()
    ours = LearnedEncoding(max_positions, 12)
    ours.load_state_dict({"table": theirs.position_embeddings.weight})
    return theirs, Absolute(ours)


def entered(theirs, ours, sentences, positions):
    """Our door, with the peer's words, segments and layer norm around it."""
    x = theirs.word_embeddings(sentences) + theirs.token_type_embeddings(torch.zeros_like(sentences))
    return theirs.LayerNorm(ours.at_input(x, positions))


@pytest.mark.filterwarnings("ignore")  # of the peers about themselves
@pytest.mark.parametrize("start", [0, 3, 11])
def test_it_agrees_with_bert(agrees, start):
    pytest.importorskip("transformers")
    theirs, ours = embeddings("bert", 16)
    expected = theirs(SENTENCES, past_key_values_length=start)
    found = entered(theirs, ours, SENTENCES, torch.arange(5) + start)
    without = entered(theirs, Absolute(lambda m: torch.zeros(*m.shape, 12)), SENTENCES, torch.arange(5))
    assert (expected - without).abs().max() > 0.1  # positions do count
    agrees("absolute.learned.LearnedEncoding", "transformers", found, expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_it_agrees_with_bert_at_positions_of_each_sentence(agrees):
    pytest.importorskip("transformers")
    theirs, ours = embeddings("bert", 16)
    positions = torch.tensor([[15, 0, 3, 3, 7], [1, 2, 4, 8, 11]])
    expected = theirs(SENTENCES, position_ids=positions)
    found = entered(theirs, ours, SENTENCES, positions)
    agrees("absolute.learned.LearnedEncoding", "transformers", found, expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_it_agrees_with_roberta_whose_positions_start_behind_the_padding_index(agrees):
    pytest.importorskip("transformers")
    theirs, ours = embeddings("roberta", 16)
    positions = torch.tensor([[2, 3, 4, 5, 6], [2, 3, 1, 1, 1]])  # counted by hand
    expected = theirs(SENTENCES)
    agrees(
        "absolute.learned.LearnedEncoding",
        "transformers",
        entered(theirs, ours, SENTENCES, positions),
        expected,
        atol=1e-6,
    )
    from_zero = entered(theirs, ours, SENTENCES, torch.arange(5).expand(2, 5))
    assert (from_zero - expected).abs().max() > 0.1  # which is the quiet mistake of the lesson


@pytest.mark.filterwarnings("ignore")
def test_it_agrees_with_x_transformers_which_shrinks_its_rows(agrees):
    pytest.importorskip("x_transformers")
    from x_transformers.x_transformers import AbsolutePositionalEmbedding

    theirs, ours = AbsolutePositionalEmbedding(12, 16), LearnedEncoding(16, 12)
    ours.load_state_dict({"table": theirs.emb.weight * theirs.scale})
    positions = torch.tensor([[15, 0, 3, 3, 7], [1, 2, 4, 8, 11]])
    expected = theirs(torch.zeros(2, 5, 12), pos=positions)
    agrees("absolute.learned.LearnedEncoding", "x-transformers", ours(positions), expected, atol=0)


@pytest.mark.parametrize("start", [0, 11])
def test_it_agrees_with_keras_hub(agrees, recorded, start):
    peer, theirs = recorded("keras-hub")
    ours = LearnedEncoding(*theirs["learned_table"].shape)
    ours.load_state_dict({"table": theirs["learned_table"]})
    found = ours(torch.arange(5) + start)
    agrees("absolute.learned.LearnedEncoding", peer, found, theirs[f"learned_from_{start}"], atol=0)


@pytest.mark.filterwarnings("ignore")
def test_both_refuse_the_first_token_without_a_row():
    pytest.importorskip("transformers")
    for name, longest in (("bert", 16), ("roberta", 14)):
        theirs, ours = embeddings(name, 16)
        first = 0 if name == "bert" else 2
        for length in (longest, longest + 1):
            sentence, positions = torch.full((1, length), 5), torch.arange(length) + first
            calls = [
                lambda s=sentence, p=positions, t=theirs: t(s, position_ids=p[None]),
                lambda s=sentence, p=positions, t=theirs, o=ours: entered(t, o, s, p),
            ]
            for call in calls:
                if length == longest:
                    assert call().shape == (1, length, 12)
                else:
                    with pytest.raises((IndexError, RuntimeError)):
                        call()
