"""posemb_ref.rotary.decay has no peer: what can be compared is the turned numbers whose sums it takes."""

import pytest
import torch

from posemb_ref.rotary.decay import abel_bound

NAME = "rotary.decay.abel_bound"


@pytest.mark.filterwarnings("ignore")  # of the peers about themselves
@pytest.mark.parametrize("distance", [0, 1, 17, 300])
def test_its_sums_are_those_of_vectors_that_others_have_turned(evidence, distance):
    pytest.importorskip("rotary_embedding_torch")
    from rotary_embedding_torch import RotaryEmbedding

    real = torch.tensor([1.0, 0.0]).repeat(6)[None, None]
    turned = RotaryEmbedding(12).rotate_queries_or_keys(real, offset=distance).double().view(6, 2)
    q, k = torch.randn(2, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    h = [complex(*q[2 * i : 2 * i + 2]) * complex(*k[2 * i : 2 * i + 2]).conjugate() for i in range(6)] + [0]
    largest = max(abs(h[i + 1] - h[i]) for i in range(6))
    expected = largest * turned.cumsum(0).norm(dim=-1).sum()
    torch.testing.assert_close(abel_bound(q, k, torch.tensor(distance)), expected, rtol=1e-4, atol=0)
    evidence(
        NAME,
        "note",
        "No package is known that computes it. Its sums were compared with those of vectors that rotary-embedding-torch "
        "turned, and the rest with equation (37) written out a second time, which is no independent implementation",
    )
