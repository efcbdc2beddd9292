"""Every encoding obeys the laws it claims. A new encoding is one more line in ENCODINGS."""

import functools

import pytest
import torch

from posemb_ref import Encoding, laws
from posemb_ref.device import lesson_device
from posemb_ref.rotary.rope import LAYOUTS, Rotary

DIM = 12  # of the vectors; an encoding may turn fewer
TRANSFORM = (
    laws.identity_at_zero,
    laws.norm_preservation,
    laws.composition,
    laws.linearity,
    laws.locality,
    functools.partial(laws.device_parity, device=lesson_device()),
    *(functools.partial(laws.dtype_parity, dtype=dtype) for dtype in (torch.float32, torch.bfloat16, torch.float16)),
)
SCORES = (laws.shift_invariance, laws.toeplitz, functools.partial(laws.boundedness, scale=DIM**-0.5))
EVERYTHING = (*TRANSFORM, *SCORES)

ENCODINGS = [
    (lambda: Encoding(), EVERYTHING),
    *(
        (functools.partial(Rotary, dim, base=base, layout=layout), EVERYTHING)
        for dim in (2, 8, DIM)
        for base in (10000.0, 500000.0, 3.0)
        for layout in LAYOUTS
    ),
]
CLAIMS = [(make, law) for make, claims in ENCODINGS for law in claims]


def name(value):
    if isinstance(value, functools.partial):
        return "-".join(map(str, (name(value.func), *value.args, *value.keywords.values())))
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("make", "law"), CLAIMS, ids=name)
def test_an_encoding_obeys_the_laws_it_claims(evidence, make, law):
    encoding = make()
    subjects = [encoding.scores] if law in SCORES else [encoding.on_query, encoding.on_key]
    for subject in subjects:
        assert law(subject, dim=DIM) is None
    evidence(type(encoding).__module__.removeprefix("posemb_ref.") + "." + type(encoding).__name__, "law", name(law))


def attended(encoding, m, n):
    q, k, v = torch.randn(3, 2, 6, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return encoding(q, k, v, m, n, causal=True)


@pytest.mark.parametrize("make", [make for make, claims in ENCODINGS if laws.shift_invariance in claims], ids=name)
@pytest.mark.parametrize("shift", [1, -40, 100_000])
def test_attention_is_unchanged_when_all_positions_shift(make, shift):
    encoding, m = make(), torch.arange(6)
    torch.testing.assert_close(attended(encoding, m, m), attended(encoding, m + shift, m + shift), rtol=0, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_attention_with_rotary_feels_the_distance(layout):
    encoding, m = Rotary(8, layout=layout), torch.arange(6)
    assert (attended(encoding, m, m) - attended(encoding, m, 2 * m)).abs().max() > 1e-2


@pytest.mark.parametrize("make", [make for make, claims in ENCODINGS], ids=name)
def test_cached_keys_equal_keys_encoded_at_once(make):
    encoding, k = make(), torch.randn(2, 6, DIM, generator=torch.Generator().manual_seed(0))
    at_once = encoding.on_key(k, torch.arange(6) + 90)
    cached = [encoding.on_key(k[:, i : i + 1], torch.tensor([90 + i])) for i in range(6)]
    torch.testing.assert_close(torch.cat(cached, dim=1), at_once, rtol=0, atol=1e-6)
