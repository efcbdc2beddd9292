"""Every encoding obeys the laws it claims, and breaks those that it does not. A new encoding is one more line in CLAIMS."""

import functools

import pytest
import torch

from posemb_ref import laws
from posemb_ref.encodings import encodings
from posemb_ref.lesson.device import lesson_device
from posemb_ref.rotary.rope import LAYOUTS, Rotary

DIM = 12  # of the vectors; a rotary encoding may turn fewer
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
LINEAR = (laws.norm_preservation, laws.composition, laws.linearity)
ALONE = (laws.locality,)
RELATIVE = (laws.shift_invariance, laws.toeplitz)
DECODING = (laws.causality, laws.cached_equals_uncached)
BOUNDED = (functools.partial(laws.boundedness, scale=DIM**-0.5),)
EXACT = tuple(functools.partial(laws.dtype_parity, dtype=dtype) for dtype in DTYPES)
AWAY = (functools.partial(laws.device_parity, device=lesson_device()),)
TRANSFORM = (laws.identity_at_zero, *LINEAR, *ALONE, *EXACT, *AWAY)

CLAIMS = {
    "none": (*DECODING, *TRANSFORM, *RELATIVE, *BOUNDED),
    "learned": DECODING,
    "sinusoidal": DECODING,
    "Shaw": (*DECODING, *RELATIVE),
    "Transformer-XL": (*DECODING, *RELATIVE),
    "T5": (*DECODING, *RELATIVE),
    "DeBERTa": (*DECODING, *RELATIVE),
    "RoPE": (*DECODING, *TRANSFORM, *RELATIVE, *BOUNDED),
}
ROTARY = [
    functools.partial(Rotary, dim, base=base, layout=layout)
    for dim in (2, 8, DIM)
    for base in (10000.0, 500000.0, 3.0)
    for layout in LAYOUTS
]


def named(name, seed=0):
    """Make an encoding of the catalogue in float64, with parameters large enough to matter."""
    encoding = encodings(DIM)[name].double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in encoding.parameters():
            parameter.normal_(generator=generator)
    return encoding


def title(value):
    """Name a law, or an encoding, which has its name already."""
    return value if isinstance(value, str) else getattr(value, "func", value).__name__.replace("_", " ")


def public_name(encoding):
    kind = getattr(encoding, "vectors", encoding)
    kind = getattr(kind, "func", type(kind))  # sinusoidal comes with its dim
    return f"{kind.__module__.removeprefix('posemb_ref.')}.{kind.__name__}"


def subjects(law, encoding):
    """Give what the law is about: scores, attention, or the two maps of the second door."""
    if law in BOUNDED:
        return [encoding.scores]
    if law in RELATIVE:
        return [laws.layer_scores(encoding, dim=DIM)]
    if law in DECODING:
        attend, at = laws.layer_attention(encoding, dim=DIM), torch.arange(6)
        return [attend if law is laws.cached_equals_uncached else lambda x: attend(x, x, at, at)]
    return [encoding.on_query, encoding.on_key]


def obeys(law, encoding):
    return all(law(subject, dim=DIM) is None for subject in subjects(law, encoding))


def note(evidence, law, encoding):
    if law in EXACT:
        evidence(public_name(encoding), "dtype", str(law.keywords["dtype"])[6:])
    else:
        evidence(public_name(encoding), "law", title(law))


def test_the_claims_are_about_every_encoding():
    assert list(CLAIMS) == list(encodings(DIM))


@pytest.mark.parametrize(("name", "law"), [(name, law) for name, claims in CLAIMS.items() for law in claims], ids=title)
def test_an_encoding_obeys_the_laws_it_claims(evidence, name, law):
    encoding = named(name)
    assert obeys(law, encoding)
    note(evidence, law, encoding)


@pytest.mark.parametrize("name", ["learned", "sinusoidal"])
@pytest.mark.parametrize("law", RELATIVE, ids=title)
def test_an_absolute_encoding_is_not_relative(name, law):
    assert not obeys(law, named(name))


@pytest.mark.parametrize("law", CLAIMS["RoPE"], ids=title)
@pytest.mark.parametrize("make", ROTARY)
def test_rope_obeys_its_laws_with_every_parameter(evidence, make, law):
    encoding = make()
    assert obeys(law, encoding)
    note(evidence, law, encoding)


def attended(encoding, m, n):
    q, k, v = torch.randn(3, 2, 1, 6, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return encoding(encoding.at_input(q, m), encoding.at_input(k, n), encoding.at_input(v, n), m, n, causal=True)


@pytest.mark.parametrize("name", [name for name, claims in CLAIMS.items() if laws.toeplitz in claims])
@pytest.mark.parametrize("shift", [1, -40, 100_000])
def test_attention_is_unchanged_when_all_positions_shift(name, shift):
    encoding, m = named(name), torch.arange(6)
    torch.testing.assert_close(attended(encoding, m, m), attended(encoding, m + shift, m + shift), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in CLAIMS if name != "none"])
def test_attention_feels_where_tokens_are(name):
    encoding, m = named(name), torch.arange(6)
    assert (attended(encoding, m, m) - attended(encoding, m, 2 * m)).abs().max() > 1e-2


@pytest.mark.parametrize("name", CLAIMS)
def test_several_encodings_in_sequence_do_not_share_what_they_remember(name):
    m = torch.arange(6)
    first, other = named(name), named(name, seed=1)
    before = attended(first, m, m)
    attended(other, m + 3, m)
    torch.testing.assert_close(attended(first, m, m), before, rtol=0, atol=0)
