"""posemb_ref.relative.transformer_xl against the formula written down again as loops in NumPy, and the lesson's claims."""

import copy
import functools
import itertools

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from posemb_ref.relative.transformer_xl import TransformerXL, scores
from tests.common import DEVICE, vectors
from tests.wrong_input import bad_count, bad_vectors, not_a_tensor, not_floats, not_integers, trials

LENGTHS = [(1, 1), (1, 6), (4, 4), (3, 7), (5, 6)]  # queries, keys


def wave(distance, width):
    """Encode one distance: another sinusoid than the lesson's, so that nothing depends on which one it is."""
    return np.array([np.cos(distance * 0.7 / (c + 1) + c) for c in range(width)])


def waves(distance, width=4):
    """Encode distances, as `distance_vectors` has to."""
    at = distance.cpu().double()[..., None]
    column = torch.arange(width)
    return torch.cos(at * 0.7 / (column + 1) + column).to(DEVICE)


def four_terms(q, k, r, u, v):
    """The terms (a) + (b) + (c) + (d) of one head, one pair of positions at a time; r maps a distance to its key."""
    queries, keys = len(q), len(k)
    out = np.empty((queries, keys))
    for i, j in itertools.product(range(queries), range(keys)):
        key = r(keys - queries + i - j)
        out[i, j] = q[i] @ k[j] + q[i] @ key + u @ k[j] + v @ key
    return out


@pytest.mark.parametrize(("queries", "keys"), LENGTHS)
@pytest.mark.parametrize("biases", [(), (3,), (2, 3)])
@pytest.mark.parametrize("table", [(), (3,), (2, 1)])
def test_scores_are_the_four_terms(queries, keys, biases, table):
    q, k = vectors(2, 3, queries, 4), vectors(2, 3, keys, 4, seed=1)
    r = vectors(*table, queries + keys - 1, 4, seed=2)
    u, v = vectors(*biases, 4, seed=3), vectors(*biases, 4, seed=4)
    found = scores(q, k, r, u, v)
    assert found.shape == (2, 3, queries, keys)
    one = [value.cpu().numpy() for value in (q, k, r.expand(2, 3, -1, -1), u.expand(2, 3, 4), v.expand(2, 3, 4))]
    for at in itertools.product(range(2), range(3)):
        q1, k1, r1, u1, v1 = (value[at] for value in one)
        expected = four_terms(q1, k1, lambda distance, r1=r1: r1[distance + queries - 1], u1, v1)
        np.testing.assert_allclose(found[at].cpu(), expected, rtol=0, atol=1e-12)


def test_one_sequence_without_leading_axes():
    q, k, r, u, v = vectors(2, 4), vectors(5, 4, seed=1), vectors(6, 4, seed=2), vectors(4, seed=3), vectors(4, seed=4)
    expected = four_terms(
        *(value.cpu().numpy() for value in (q, k)), lambda t: r[t + 1].cpu().numpy(), u.cpu().numpy(), v.cpu().numpy()
    )
    np.testing.assert_allclose(scores(q, k, r, u, v).cpu(), expected, rtol=0, atol=1e-12)


def test_each_term_has_the_meaning_it_is_given():
    q, k, r = vectors(3, 4), vectors(5, 4, seed=1), vectors(7, 4, seed=2)
    u, v = vectors(4, seed=3), vectors(4, seed=4)
    none = torch.zeros_like(u)
    assert torch.equal(scores(q, k, torch.zeros_like(r), none, v), q @ k.mT)  # content only
    global_content = scores(torch.zeros_like(q), k, torch.zeros_like(r), u, none)
    assert (global_content == global_content[:1]).all()  # one preference for all queries
    global_position = scores(torch.zeros_like(q), torch.zeros_like(k), r, none, v)
    assert torch.equal(global_position[1:, 1:], global_position[:-1, :-1])  # by distance alone
    assert global_position[-1, -1] == v @ r[2] and global_position[0, -1] == v @ r[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_scores_keep_the_dtype_and_the_device(dtype):
    q, k, r, u, v = (vectors(*shape, dtype=dtype) for shape in ((3, 4), (5, 4), (7, 4), (4,), (4,)))
    found, exact = scores(q, k, r, u, v), scores(*(value.double() for value in (q, k, r, u, v)))
    assert found.dtype == dtype and found.device == q.device
    assert (found.double() - exact).abs().max() <= 8 * torch.finfo(dtype).eps * exact.abs().max()


def encoding(dim=4, *, width=4, num_heads=None, seed=5):
    """A TransformerXL with parameters large enough to be seen."""
    made = (
        TransformerXL(dim, functools.partial(waves, width=width), width=width, num_heads=num_heads).double().to(DEVICE)
    )
    for i, parameter in enumerate(made.parameters()):
        parameter.data = vectors(*parameter.shape, seed=seed + i)
    return made


def expected_scores(made, q, k, m, n):
    """The scaled scores of one head, pair by pair."""
    u, v, W = (
        value.detach().cpu().numpy() for value in (made.content_bias, made.position_bias, made.position_projection)
    )
    out = np.empty((len(m), len(n)))
    for (i, at_m), (j, at_n) in itertools.product(enumerate(m), enumerate(n)):
        r = W @ wave(at_m - at_n, W.shape[-1])
        out[i, j] = ((q[i] + u) @ k[j] + (q[i] + v) @ r) / np.sqrt(len(u))
    return out


POSITIONS = [
    (range(3), range(5)),
    (range(4, 7), range(7)),
    ((40, 3, 3), (9, 0, 41, 2)),
    ((-7, 0, 100_000), (5, 99_999, -8)),
]


@pytest.mark.parametrize(("m", "n"), POSITIONS)
@pytest.mark.parametrize("width", [4, 6])
def test_the_encoding_at_any_whole_positions(m, n, width):
    made, q, k = encoding(width=width), vectors(len(m), 4), vectors(len(n), 4, seed=1)
    found = made.scores(q[None], k[None], torch.tensor(m, device=DEVICE), torch.tensor(n, device=DEVICE))[0]
    expected = expected_scores(made, q.cpu().numpy(), k.cpu().numpy(), m, n)
    np.testing.assert_allclose(found.detach().cpu(), expected, rtol=0, atol=1e-9)


def test_each_head_has_its_own_parameters_and_each_row_of_a_batch_its_own_positions():
    made, q, k = encoding(num_heads=3), vectors(2, 3, 2, 4), vectors(2, 3, 5, 4, seed=1)
    m, n = (
        torch.tensor([[[6, 7]], [[90, 2]]], device=DEVICE),
        torch.tensor([[[3, 4, 5, 6, 7]], [[0, 1, 2, 3, 90]]], device=DEVICE),
    )
    found = made.scores(q, k, m, n)
    for batch, head in itertools.product(range(2), range(3)):
        one = copy.deepcopy(made)
        for parameter in one.parameters():
            parameter.data = parameter.data[head]
        at = m[batch, 0].tolist(), n[batch, 0].tolist()
        expected = expected_scores(one, q[batch, head].cpu().numpy(), k[batch, head].cpu().numpy(), *at)
        np.testing.assert_allclose(found[batch, head].detach().cpu(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("queries", "keys"), LENGTHS)
def test_the_encoding_and_the_function_agree(queries, keys):
    made, q, k = encoding(), vectors(2, queries, 4), vectors(2, keys, 4, seed=1)
    n = torch.arange(keys, device=DEVICE)
    r = made.distance_keys(torch.arange(1 - queries, keys, device=DEVICE))
    by_function = scores(q, k, r, made.content_bias, made.position_bias) / 2
    torch.testing.assert_close(made.scores(q, k, n[keys - queries :], n), by_function, rtol=0, atol=1e-12)


def test_no_position_reaches_the_values():
    made, at = encoding(), torch.arange(6, device=DEVICE)
    q, k, v = vectors(3, 2, 6, 4)
    same = torch.ones_like(v)
    torch.testing.assert_close(made(q, k, same, at, at), same, rtol=0, atol=1e-12)
    assert made.on_values(torch.ones(2, 6, 6), at, at) is None
    assert torch.equal(made.at_input(q, at), q) and torch.equal(made.on_key(k, at), k)


def test_a_segment_with_its_memory_equals_the_whole_at_once():
    made, x = encoding(num_heads=2), vectors(2, 12, 4)
    at = torch.arange(12, device=DEVICE)
    whole = made(x, x, x, at, at, causal=True)
    # With every earlier state in memory, a segment loses nothing, wherever its own counting begins.
    for start, offset in itertools.product((0, 4, 8), (0, -7, 1000)):
        now, past = at[start : start + 4] + offset, at[: start + 4] + offset
        segment = made(x[:, start : start + 4], x[:, : start + 4], x[:, : start + 4], now, past, causal=True)
        torch.testing.assert_close(segment, whole[:, start : start + 4], rtol=0, atol=1e-12)


def test_one_key_at_a_time_equals_all_keys_at_once():
    made, q, k = encoding(), vectors(1, 3, 4), vectors(1, 7, 4, seed=1)
    m, n = torch.tensor([4, 5, 6], device=DEVICE), torch.arange(7, device=DEVICE)
    one_by_one = [made.scores(q, k[:, j : j + 1], m, n[j : j + 1]) for j in range(7)]
    torch.testing.assert_close(torch.cat(one_by_one, dim=-1), made.scores(q, k, m, n), rtol=0, atol=1e-12)


def test_a_distance_is_encoded_once_however_many_pairs_have_it():
    asked = []

    def counting(distance):
        asked.extend(distance.tolist())
        return waves(distance)

    made, at = TransformerXL(4, counting).to(DEVICE), torch.arange(50, device=DEVICE)
    made.on_scores(vectors(50, 4, dtype=torch.float32), vectors(50, 4, dtype=torch.float32), at, at)
    assert sorted(asked) == list(range(-49, 50))


def test_the_scale_is_that_of_the_inner_products():
    made, q, k = encoding(), vectors(1, 3, 4), vectors(1, 3, 4, seed=1)
    at = torch.arange(3, device=DEVICE)
    plain = made.scores(q, k, at, at)
    made.scale = 1.0
    torch.testing.assert_close(made.scores(q, k, at, at), 2 * plain, rtol=0, atol=1e-12)


def test_the_parameters_learn_and_are_named_in_the_checkpoint():
    made, at = encoding(num_heads=2, width=6), torch.arange(3, device=DEVICE)
    made(*vectors(3, 2, 3, 4), at, at).pow(2).sum().backward()
    shapes = {name: tuple(value.shape) for name, value in made.state_dict().items()}
    assert shapes == {"content_bias": (2, 4), "position_bias": (2, 4), "position_projection": (2, 4, 6)}
    assert all(parameter.grad.abs().max() > 1e-6 for parameter in made.parameters())


def test_fresh_parameters_are_small_and_random():
    made = TransformerXL(64, functools.partial(waves, width=64))
    for parameter in made.parameters():
        assert 0.01 < parameter.std() < 0.03


def ones(*shape):
    return torch.ones(shape)


at3 = torch.arange(3)
plain = TransformerXL(4, lambda distance: torch.ones(*distance.shape, 4))
bad_bias = st.one_of(
    not_a_tensor, not_floats, st.sampled_from([(), (3,), (1,), (2, 4), (4, 1)]).map(lambda shape: ones(*shape))
)
bad_table = st.one_of(
    bad_vectors, st.sampled_from([(6, 4), (4, 4), (1, 4), (5, 1), (5, 3), (2, 5, 4)]).map(lambda shape: ones(*shape))
)
bad_keys = st.sampled_from([ones(3, 5), ones(2, 4), ones(2, 3, 4), ones(0, 4)])
half = torch.ones(3, 4, dtype=torch.float16)

REFUSED = [
    ("q", bad_vectors, lambda bad: scores(bad, ones(3, 4), ones(5, 4), ones(4), ones(4))),
    ("k", st.one_of(bad_vectors, bad_keys), lambda bad: scores(ones(3, 4), bad, ones(5, 4), ones(4), ones(4))),
    ("k", st.just(half), lambda bad: scores(ones(3, 4), bad, ones(5, 4), ones(4), ones(4))),
    ("distance_keys", bad_table, lambda bad: scores(ones(3, 4), ones(3, 4), bad, ones(4), ones(4))),
    ("content_bias", bad_bias, lambda bad: scores(ones(3, 4), ones(3, 4), ones(5, 4), bad, ones(4))),
    ("position_bias", bad_bias, lambda bad: scores(ones(3, 4), ones(3, 4), ones(5, 4), ones(4), bad)),
    ("q", st.just(ones(0, 4)), lambda bad: scores(bad, ones(3, 4), ones(2, 4), ones(4), ones(4))),
    ("distance_keys", st.just(ones(3, 5, 4)), lambda bad: scores(ones(2, 3, 4), ones(2, 3, 4), bad, ones(4), ones(4))),
    ("content_bias", st.just(ones(3, 4)), lambda bad: scores(ones(2, 3, 4), ones(2, 3, 4), ones(5, 4), bad, ones(4))),
    ("dim", bad_count, lambda bad: TransformerXL(bad, waves)),
    ("width", bad_count.filter(lambda bad: bad is not None), lambda bad: TransformerXL(4, waves, width=bad)),
    ("num_heads", bad_count.filter(lambda bad: bad is not None), lambda bad: TransformerXL(4, waves, num_heads=bad)),
    ("distance_vectors", st.sampled_from([None, 3, ones(4, 4)]), lambda bad: TransformerXL(4, bad)),
    ("distance_vectors", st.sampled_from([(3, 5), (4, 4), (3,), (1, 3, 4)]), lambda bad: TransformerXL(4, lambda distance: ones(*bad)).distance_keys(at3)),
    ("distances", st.sampled_from([torch.ones(3, 4, dtype=torch.int64), None]), lambda bad: TransformerXL(4, lambda distance: bad).distance_keys(at3)),
    ("distance", not_integers, lambda bad: plain.distance_keys(bad)),
    ("q", st.one_of(bad_vectors, st.just(ones(3, 5))), lambda bad: plain.on_query(bad, at3)),
    ("q", st.one_of(bad_vectors, st.just(ones(3, 5))), lambda bad: plain.scores(bad, ones(3, 4), at3, at3)),
    ("q", st.sampled_from([ones(3, 4), ones(5, 3, 4), ones(3, 1, 3, 4)]), lambda bad: TransformerXL(4, waves, num_heads=2).on_query(bad, at3)),
    ("k", bad_vectors, lambda bad: plain.scores(ones(3, 4), bad, at3, at3)),
    ("query_positions", not_integers, lambda bad: plain.scores(ones(3, 4), ones(3, 4), bad, at3)),
    ("key_positions", not_integers, lambda bad: plain.scores(ones(3, 4), ones(3, 4), at3, bad)),
    ("query_positions", st.sampled_from([torch.arange(4), torch.arange(1), torch.zeros(2, 3, dtype=torch.int64)]), lambda bad: plain.scores(ones(3, 4), ones(3, 4), bad, at3)),
    ("key_positions", st.sampled_from([torch.arange(4), torch.arange(1), torch.zeros(2, 3, dtype=torch.int64)]), lambda bad: plain.scores(ones(3, 4), ones(3, 4), at3, bad)),
]  # fmt: skip


test_wrong_input_is_refused_by_the_argument_s_name = trials(REFUSED)


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("under_its_key", "memory forgotten", ("(keys - queries + i) - j", "i - j"), "agreement fails"),
    ("under_its_key", "n − m", ("(keys - queries + i) - j", "j - (keys - queries + i)"), "agreement fails|IndexError"),
    ("under_its_key", "descending", ("distance + queries - 1]", "keys - 1 - distance]"), "agreement fails|IndexError"),
    ("under_its_key", "one too far", ("distance + queries - 1", "distance + queries"), "agreement fails|IndexError"),
    ("under_its_key", "one key too many", ("columns - queries + 1", "columns - queries + 2"), "agreement|IndexError"),
    ("under_its_key", "rows for columns", ("by_distance[i, ", "by_distance[0, "), "agreement fails"),
    ("clean_shift", "the garbage left", ("np.tril(shifted, columns - rows)", "shifted"), "agreement fails .* expected 0,"),
    ("clean_shift", "the memory cut off", ("np.tril(shifted, columns - rows)", "np.tril(shifted)"), "agreement fails .*found 0\n"),
    ("clean_shift", "own key cut off", ("columns - rows)", "columns - rows - 1)"), "agreement fails .*found 0\n"),
    ("clean_shift", "the last row dropped", ("[1:].reshape", "[:-1].reshape"), "agreement fails"),
    ("clean_shift", "zeros at the other end", ("[np.zeros((rows, 1)), x]", "[x, np.zeros((rows, 1))]"), "agreement fails"),
    ("clean_shift", "not shifted", ("np.tril(shifted,", "np.tril(x,"), "agreement fails"),
    ("step", "only the segment kept", ("seen[max(0, len(seen) - size) :]", "h[max(0, len(h) - size) :]"), "agreement"),
    ("step", "what left the layer kept", ("torch.cat([memory, h])", "torch.cat([memory, layer(h, memory)])"), "agreement fails"),
    ("step", "a memory of none is all", ("seen[max(0, len(seen) - size) :]", "seen[-size:]"), r"agreement \(shape\) fails .*size=0\)"),
    ("step", "the memory put last", ("[memory, h]", "[h, memory]"), "agreement fails"),
    ("step", "the oldest kept", ("seen[max(0, len(seen) - size) :]", "seen[:size]"), "agreement fails"),
    ("step", "not looked at", ("layer(h, memory)", "layer(h, memory[:0])"), "agreement fails"),
    ("reach", "memory is the segment", ("- memory", "- segment"), "agreement fails"),
    ("reach", "segments ignored", ("first // segment * segment", "first"), "agreement fails"),
    ("reach", "one layer only", ("range(layers)", "range(1)"), "agreement fails"),
    ("reach", "counted with both ends", ("last - first", "last - first + 1"), "agreement fails"),
    ("reach", "N M", ("last - first", "layers * memory"), "agreement fails"),
    ("reach", "right for M = L only", ("last - first", "layers * memory + segment - 1"), "agreement fails"),
]  # fmt: skip
