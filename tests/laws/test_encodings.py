"""Every encoding, in every variant, obeys the laws it claims, and breaks those that it does not.

A new encoding is one more line in CLAIMS, its variants one more in VARIANTS.
"""

import functools

import pytest
import torch

from posemb_ref import laws
from posemb_ref.absolute.learned import LearnedEncoding
from posemb_ref.absolute.sinusoidal import LAYOUTS as SINUSOIDAL_LAYOUTS
from posemb_ref.absolute.sinusoidal import sinusoidal
from posemb_ref.attention import Absolute, Encoding
from posemb_ref.encodings import encodings
from posemb_ref.lesson.device import lesson_device
from posemb_ref.relative.deberta import P2C, DeBERTa
from posemb_ref.relative.shaw import Shaw
from posemb_ref.relative.t5 import T5
from posemb_ref.relative.transformer_xl import TransformerXL
from posemb_ref.rotary.rope import LAYOUTS, Rotary, frequencies

DIM = 12  # of the vectors; a rotary encoding may turn fewer
HALF = (torch.bfloat16, torch.float16)
TURN = (laws.norm_preservation, laws.composition, laws.linearity, laws.inverse_gradient)
RELATIVE = (laws.shift_invariance, laws.toeplitz)
PREFIX = (laws.prefix_invariance,)
HISTORY = (laws.history,)
DECODING = (laws.causality, laws.cached_equals_uncached, laws.cached_decoding)
BOUNDED = (functools.partial(laws.boundedness, scale=DIM**-0.5),)
PARITY = tuple(functools.partial(laws.attention_parity, dtype=dtype) for dtype in HALF)
EXACT = tuple(functools.partial(laws.dtype_parity, dtype=dtype) for dtype in (torch.float32, *HALF))
AWAY = (functools.partial(laws.device_parity, device=lesson_device()),)
TRANSFORM = (laws.identity_at_zero, *TURN, laws.locality, *EXACT, *AWAY)
ALL = (*DECODING, *HISTORY)

CLAIMS = {
    "none": (*ALL, *PARITY, *TRANSFORM, *RELATIVE, *PREFIX, *BOUNDED),
    "learned": (*ALL, *PARITY),
    "sinusoidal": (*ALL, *PARITY),
    "Shaw": (*ALL, *PARITY, *RELATIVE, *PREFIX),
    "Transformer-XL": (*ALL, *PARITY, *RELATIVE, *PREFIX),
    "T5": (*ALL, *PARITY[:1], *RELATIVE, *PREFIX),  # without 1/√dim, large scores exceed float16
    "DeBERTa": (*ALL, *PARITY, *RELATIVE, *PREFIX),
    "RoPE": (*ALL, *PARITY, *TRANSFORM, *RELATIVE, *PREFIX, *BOUNDED),
}
WAVES = functools.partial(sinusoidal, dim=8)
BUCKETS = ((32, 128, True), (32, 128, False), (8, 20, True), (4, 3, True), (3, 7, False))
SPANS = ({"span": 1}, {"span": 5}, {"span": 8, "num_buckets": 8, "max_position": 32})
VARIANTS = {
    "learned": [lambda: Absolute(LearnedEncoding(200, DIM))],
    "sinusoidal": [
        functools.partial(Absolute, functools.partial(sinusoidal, dim=DIM, base=base, layout=layout))
        for base in (10000.0, 3.0)
        for layout in SINUSOIDAL_LAYOUTS
    ],
    "Shaw": [functools.partial(Shaw, DIM, max_distance=distance) for distance in (0, 1, 3, 30)],
    "Transformer-XL": [functools.partial(TransformerXL, DIM, WAVES, width=8, num_heads=heads) for heads in (None, 1)],
    "T5": [
        functools.partial(T5, 1, num_buckets=rows, max_distance=reach, bidirectional=both)
        for rows, reach, both in BUCKETS
    ],
    "DeBERTa": [functools.partial(DeBERTa, DIM, **options, p2c=p2c) for options in SPANS for p2c in P2C],
    "RoPE": [
        *(
            functools.partial(Rotary, dim, base=base, layout=layout)
            for dim in (2, 8, DIM)
            for base in (10000.0, 500000.0, 3.0)
            for layout in LAYOUTS
        ),
        lambda: Rotary(frequencies=torch.tensor([1.0, 0.0, -2.0])),
    ],
}


def filled(encoding, seed=0):
    """Return the encoding in float64, with parameters large enough to matter."""
    encoding = encoding.double().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parameter in encoding.parameters():
        parameter.normal_(generator=generator)
    return encoding


def named(name, seed=0):
    """Return an encoding of the catalogue."""
    return filled(encodings(DIM)[name], seed)


MADE = [(name, functools.partial(named, name), law) for name, claims in CLAIMS.items() for law in claims]
MADE += [
    (name, lambda make=make: filled(make()), law)
    for name in VARIANTS
    for make in VARIANTS[name]
    for law in CLAIMS[name]
]


def title(value):
    """Name a law, or an encoding, which has its name already."""
    return getattr(value, "func", value).__name__.replace("_", " ")


def public_name(encoding):
    """Name what an encoding is made of: `sinusoidal` comes with its dim."""
    kind = getattr(encoding, "vectors", encoding)
    kind = getattr(kind, "func", type(kind))
    return f"{kind.__module__.removeprefix('posemb_ref.')}.{kind.__name__}"


def asked_of(encoding):
    """Return scores as a function of how many tokens there are and where they stand."""

    def scores(queries, offset):
        q, k = torch.randn(2, 1, 9, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(queries))
        at = torch.arange(9) + offset
        return encoding.scores(q[:, -queries:], k, at[-queries:], at)

    return scores


def subjects(law, encoding):
    """Give what the law is about: scores, attention, a decoder, or the two maps of the second door."""
    if law in BOUNDED:
        return [lambda q, k, m, n: encoding.scores(q[None], k[None], m, n)[0]]
    if law in RELATIVE:
        return [laws.layer_scores(encoding, dim=DIM)]
    if law in PREFIX:
        return [laws.sequence_scores(encoding, dim=DIM)]
    if law is laws.cached_decoding:
        return [laws.cached_decoder(encoding, dim=DIM)]
    if law in (laws.cached_equals_uncached, *PARITY):
        return [laws.layer_attention(encoding, dim=DIM)]
    if law is laws.causality:
        attend = laws.layer_attention(encoding, dim=DIM)
        return [lambda x: attend(x, x, torch.arange(len(x)), torch.arange(len(x)))]
    if law in HISTORY:
        return [asked_of(encoding)]
    return [encoding.on_query, encoding.on_key]


def obeys(law, encoding):
    options = {"cases": [(9, 0), (1, 0), (9, 70), (2, 5)]} if law in HISTORY else {"dim": DIM}
    return all(law(subject, **options) is None for subject in subjects(law, encoding))


def note(evidence, law, encoding):
    if law in (*EXACT, *PARITY):
        evidence(public_name(encoding), "dtype", str(law.keywords["dtype"])[6:])
    else:
        evidence(public_name(encoding), "law", title(law))


def test_the_claims_and_the_variants_are_about_every_encoding():
    assert list(CLAIMS) == list(encodings(DIM)) == ["none", *VARIANTS]


@pytest.mark.parametrize(
    ("make", "law"), [pytest.param(make, law, id=f"{name}-{title(law)}") for name, make, law in MADE]
)
def test_an_encoding_obeys_the_laws_it_claims(evidence, make, law):
    encoding = make()
    assert obeys(law, encoding)
    note(evidence, law, encoding)


@pytest.mark.parametrize("name", ["learned", "sinusoidal"])
@pytest.mark.parametrize("law", [*RELATIVE, *PREFIX], ids=title)
def test_an_absolute_encoding_is_not_relative(name, law):
    assert not obeys(law, named(name))


@pytest.mark.parametrize("name", ["Shaw", "Transformer-XL", "T5", "DeBERTa"])
def test_what_adds_to_the_scores_does_not_claim_to_be_bounded(name):
    assert not obeys(BOUNDED[0], named(name))


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
    there = attended(encoding, m, m)
    assert (there - attended(encoding, m, 2 * m)).abs().max() > 1e-2
    if name != "learned":  # which has no row for −1
        assert (there - attended(encoding, -m, -m)).abs().max() > 1e-2


@pytest.mark.parametrize("name", VARIANTS)
def test_encodings_do_not_share_what_they_remember(name):
    kept, m = [filled(make(), seed) for make in VARIANTS[name] for seed in (0, 1)], torch.arange(6)
    before = [attended(encoding, m, m) for encoding in kept]
    for encoding, expected in reversed(list(zip(kept, before, strict=True))):
        attended(encoding, m + 3, m)
        torch.testing.assert_close(attended(encoding, m, m), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", CLAIMS)
def test_parameters_may_have_another_dtype_than_the_tokens(name):
    x, m = torch.randn(1, 6, DIM, dtype=torch.bfloat16), torch.arange(6)
    encoding = encodings(DIM)[name]
    assert encoding(encoding.at_input(x, m), x, x, m, m).dtype == torch.bfloat16


@pytest.mark.parametrize("name", CLAIMS)
def test_an_encoding_shows_what_it_is_made_of(name):
    shown = repr(encodings(DIM, max_positions=77, max_distance=64)[name])
    assert name in ("none", "sinusoidal") or any(number in shown for number in ("64", "77", "12"))


class Placed(Encoding):
    """Positions that the tokens say themselves, in two coordinates: the number of them so far, and their first entry."""

    axes = 2

    def place(self, tokens, query_positions, key_positions):
        where = torch.stack((key_positions.to(tokens.dtype), tokens[:, 0].cumsum(0)), dim=-1)
        return where[-len(query_positions) :], where

    def on_scores(self, q, k, query_positions, key_positions):
        return (query_positions[..., :, None, :] - key_positions[..., None, :, :]).sum(-1)


@pytest.mark.parametrize("law", [*DECODING[:2], *PREFIX], ids=title)
def test_tokens_may_say_where_they_stand(law):
    assert obeys(law, Placed())


def test_positions_may_have_several_coordinates():
    theta = torch.block_diag(*[frequencies(DIM // 2)[:, None]] * 2)  # half of the pairs for each axis
    encoding = Rotary(frequencies=theta, attention_factor=1.5)
    q, k = torch.randn(2, 6, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows, columns = torch.arange(6) // 3, torch.arange(6) % 3
    found = encoding.scores(q, k, *[torch.stack((rows, columns), dim=-1)] * 2)
    half = Rotary(DIM // 2)
    by_axis = [
        (half.on_query(q[:, part], at), half.on_key(k[:, part], at))
        for part, at in ((slice(6), rows), (slice(6, None), columns))
    ]
    expected = sum(a @ b.mT for a, b in by_axis) * 1.5**2 / DIM**0.5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for wrong in (rows, torch.ones(6, 3)):
        with pytest.raises(ValueError, match="query_positions must"):
            encoding.scores(q, k, wrong, wrong)
