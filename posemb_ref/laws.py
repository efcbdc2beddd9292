"""Laws that encodings are about, as searches for a counterexample.

A law returns None when its search finds nothing, and a `Counterexample` that explains itself with numbers otherwise.
These kinds of subject are tried:

* a *transformation* `transform(x, positions)`, with x `(seq, dim)` and positions `(seq,)`, which returns `(seq, dim)`;
* a *score function* `scores(q, k, query_positions, key_positions)`, which returns `(query, key)`; shift invariance is
  content with `(query, …)`, as attention has it;
* a *layer* `layer(x)`, with x `(seq, dim)`, which returns `(seq, …)`;
* an *attention* `attend(x, y, query_positions, key_positions)`, in which the last of the tokens y are the tokens x, and
  look at all y up to themselves; it returns one row for each of x;
* a *decoder* `decode(x, cache)`, which returns one row for each of x, and the cache to go on with; the first is None;
* any *function*, with the cases that it is tried on.

A subject is tried on copies, which it has to leave as they are, and what it returns must have the shape said above.
All searches are seeded and run in float64 unless they are about another dtype. Numbers count as equal up to `atol`,
1e-9 unless another is given.
"""

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from posemb_ref.attention import Encoding

Transform = Callable[[Tensor, Tensor], Tensor]
Scores = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Layer = Callable[[Tensor], Tensor]
Attention = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Decoder = Callable[[Tensor, object], tuple[Tensor, object]]
Search = Iterator[tuple]  # of (where, what the law expects there, what was found)

POSITIONS = (0, 1, 2, 5, 17, 300, 4097)
FAR_POSITIONS = (*POSITIONS, 2**20)
SHIFTS = (1, -3, 64, 10_000)
LENGTHS = (1, 63, 64, 65, 128)  # a row apart from where code that works in chunks has its borders
CHUNKS = ((1,) * 7, (3, 1, 2, 1), (6, 1))


@dataclass(frozen=True)
class Counterexample:
    """A law, the inputs that break it, what the law expects there and what was found."""

    law: str
    where: str
    expected: object
    found: object

    def __str__(self) -> str:
        """Explain the failure in one sentence."""
        return f"{self.law} fails {self.where}: expected {_show(self.expected)}, found {_show(self.found)}"


class _Broken(Exception):
    """Ends a search, with the counterexample: a subject has done what no law allows."""


def _law(rows: Callable[..., tuple[int, ...]] | None = None, name: str | None = None) -> Callable:
    """Make a law of a search: every subject is tried on copies, and `rows(*inputs)` is how its shape must begin."""

    def decorate(search: Callable[..., Search]) -> Callable[..., Counterexample | None]:
        called = name or search.__name__.replace("_", " ")

        @functools.wraps(search)
        def law(subject: Callable, *, atol: float = 1e-9, **options: object) -> Counterexample | None:
            def tried(*inputs: object) -> object:
                given = _copies(inputs)
                found = subject(*given)
                _expect_unchanged(called, inputs, given)
                if rows is not None:
                    _expect_shape(called, rows(*inputs), found, inputs)
                return found

            try:
                for where, expected, found, *own in search(tried, **options):
                    if broken := _compare(called, where, expected, found, *(own or (atol,))):
                        return broken
            except _Broken as broken:
                return broken.args[0]
            return None

        return law

    return decorate


def _copies(values: Iterable) -> list:
    return [value.clone() if isinstance(value, Tensor) else copy.deepcopy(value) for value in values]


def _expect_unchanged(law: str, before: Sequence, after: Sequence) -> None:
    for number, values in enumerate(zip(before, after, strict=True), 1):
        if isinstance(values[0], Tensor | np.ndarray):
            was, now = map(_as_array, values)
            if not np.array_equal(was, now, equal_nan=was.dtype.kind in "fc"):
                where = f"since argument {number} was changed in place"
                raise _Broken(_compare(f"{law} (input)", where, was, now, 0.0))


def _expect_shape(law: str, rows: tuple[int, ...], found: object, inputs: Sequence[Tensor]) -> None:
    shape = tuple(np.shape(found))
    if shape[: len(rows)] != tuple(rows):
        where = f"for inputs of shape {', '.join(str(tuple(value.shape)) for value in inputs)}"
        raise _Broken(Counterexample(f"{law} (shape)", where, tuple(rows), shape))


def _like_x(x: Tensor, *rest: Tensor) -> tuple[int, ...]:
    return x.shape


def _rows_of_x(x: Tensor, *rest: Tensor) -> tuple[int, ...]:
    return x.shape[:1]


def _query_by_key(q: Tensor, k: Tensor, *positions: Tensor) -> tuple[int, ...]:
    return len(q), len(k)


@_law(_like_x)
def identity_at_zero(transform: Transform, *, dim: int) -> Search:
    """Position 0 leaves every vector as it is."""
    x = _vectors(3, dim)
    yield "at position 0", x, transform(x, torch.zeros(3, dtype=torch.int64))


@_law(_like_x)
def norm_preservation(transform: Transform, *, dim: int) -> Search:
    """Every vector keeps its length at every position."""
    x = _vectors(len(POSITIONS), dim)
    for position, before, after in zip(POSITIONS, x, transform(x, torch.tensor(POSITIONS)), strict=True):
        yield f"at position {position}", before.norm(), after.norm()


@_law(_like_x)
def composition(transform: Transform, *, dim: int) -> Search:
    """Moving by a and then by b is moving by a + b."""
    x = _vectors(1, dim)
    for a in POSITIONS:
        for b in POSITIONS:
            at = torch.tensor([a]), torch.tensor([b]), torch.tensor([a + b])
            yield f"for {a} then {b}", transform(x, at[2]), transform(transform(x, at[0]), at[1])


@_law(_like_x)
def linearity(transform: Transform, *, dim: int) -> Search:
    """At a fixed position, the transformation of 2x − 3y is twice that of x less three times that of y."""
    at = torch.tensor(POSITIONS)
    x, y = _vectors(len(at), dim, seed=1), _vectors(len(at), dim, seed=2)
    yield "for 2x − 3y", 2 * transform(x, at) - 3 * transform(y, at), transform(2 * x - 3 * y, at)


@_law(_like_x)
def locality(transform: Transform, *, dim: int) -> Search:
    """A row depends on its own vector and position alone: taken out of its sequence, it comes out the same."""
    positions = torch.tensor(POSITIONS).flip(0)
    x = _vectors(len(positions), dim)
    together = transform(x, positions)
    for row, position in enumerate(positions):
        alone = transform(x[row : row + 1], positions[row : row + 1])
        yield f"for row {row}, at position {position.item()}, taken out of its sequence", together[row], alone[0]


@_law(_like_x)
def inverse_gradient(transform: Transform, *, dim: int) -> Search:
    """What goes back through the transformation is turned back by it: the gradient of y·T(x, m) is T(y, −m)."""
    at = torch.tensor(POSITIONS)
    x, y = _vectors(len(at), dim, seed=1).requires_grad_(), _vectors(len(at), dim, seed=2)
    (gradient,) = torch.autograd.grad((y * transform(x, at)).sum(), x)
    yield "for the gradient of y·T(x, m)", transform(y, -at), gradient


@_law(_rows_of_x)
def shift_invariance(scores: Scores, *, dim: int) -> Search:
    """A score does not change when query and key move together."""
    q, k = _vectors(4, dim, seed=1), _vectors(5, dim, seed=2)
    m, n = torch.tensor([0, 3, 4, 40]), torch.tensor([2, 0, 4, 9, 41])
    expected = scores(q, k, m, n)
    for shift in SHIFTS:
        yield f"when both positions move by {shift}", expected, scores(q, k, m + shift, n + shift)


@_law(_query_by_key, "Toeplitz scores")
def toeplitz(scores: Scores, *, dim: int) -> Search:
    """With one query vector and one key vector everywhere, the score matrix is constant along its diagonals."""
    q, k = _vectors(1, dim, seed=1).expand(12, dim), _vectors(1, dim, seed=2).expand(12, dim)
    matrix = scores(q, k, torch.arange(12), torch.arange(12))
    yield "one step down the diagonal", matrix[:-1, :-1], matrix[1:, 1:]


@_law(_query_by_key)
def boundedness(scores: Scores, *, dim: int, scale: float = 1.0) -> Search:
    """No distance, near or far, past or future, lifts a score above scale · ‖q‖ ‖k‖."""
    limit = "‖q‖ ‖k‖" if scale == 1 else f"{scale:.6g} ‖q‖ ‖k‖"
    q, k = _vectors(8, dim, seed=1), _vectors(8, dim, seed=2)
    bound = scale * q.norm(dim=-1)[:, None] * k.norm(dim=-1)
    for shift in (0, *SHIFTS, *(-shift for shift in SHIFTS), 2**20, -(2**20)):
        size = scores(q, k, torch.arange(8) + shift, torch.arange(8)).abs()
        where = f"at distances around {shift}, where |score| must stay below {limit}"
        yield where, torch.zeros_like(size), (size - bound).clamp(min=0)


@_law(_rows_of_x)
def permutation_equivariance(layer: Layer, *, dim: int) -> Search:
    """Reordering the rows of the input reorders the rows of the output, and does nothing else."""
    x = _vectors(9, dim)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    yield f"for the order {order.tolist()}", layer(x)[order], layer(x[order])


@_law(_rows_of_x)
def causality(layer: Layer, *, dim: int) -> Search:
    """A row of the output does not change when later rows of the input change, come or go."""
    x, other = _vectors(6, dim), _vectors(6, dim, seed=1)
    before = layer(x)
    for row in range(1, 6):
        after = layer(torch.cat((x[:row], other[row:])))
        yield f"when the rows from {row} on change", before[:row], after[:row]
    x = _vectors(LENGTHS[-1] + 2, dim)
    whole = layer(x)
    for length in LENGTHS:
        yield f"when rows are appended to {length}", layer(x[:length]), whole[:length]


@_law(_rows_of_x)
def prefix_invariance(layer: Layer, *, dim: int) -> Search:
    """Tokens in front change no score among the rest: for a layer that returns all scores `(seq, seq)`.

    Keys after their query may change: a causal mask hides them.
    """
    x, front = _vectors(7, dim), _vectors(3, dim, seed=1)
    alone = layer(x).tril()
    for count in (1, 3):
        found = layer(torch.cat((front[:count], x)))[count:, count:].tril()
        yield f"when there are {count} in front", alone, found


@_law(_rows_of_x)
def cached_equals_uncached(attend: Attention, *, dim: int) -> Search:
    """A token that comes alone and looks at all before it receives what it would receive among them."""
    x = _vectors(6, dim)
    for start in (0, 90):
        at = torch.arange(6) + start
        at_once = attend(x, x, at, at)
        for row in range(6):
            now, so_far = slice(row, row + 1), slice(row + 1)
            alone = attend(x[now], x[so_far], at[now], at[so_far])
            yield f"for the token at position {at[row]}, with {row} before it", at_once[row], alone[0]


@_law(_rows_of_x)
def attention_parity(attend: Attention, *, dim: int, dtype: torch.dtype) -> Search:
    """Attention in low precision is as exact as its rounding allows, and finite where large tokens meet."""
    x, at = _vectors(40, dim).to(dtype), torch.arange(40)
    found, expected = attend(x, x, at, at), attend(x.double(), x.double(), at, at)
    yield f"for tokens in {dtype}", dtype, found.dtype
    yield f"for tokens in {dtype}", expected, found.double(), 16 * torch.finfo(dtype).eps * float(x.norm(dim=-1).max())
    large = x * 100
    yield f"for tokens of length 100 √dim in {dtype}", True, attend(large, large, at, at).isfinite().all()


@_law()
def cached_decoding(decode: Decoder, *, dim: int) -> Search:
    """Tokens that come in chunks, with the cache of those before them, receive what they would receive at once."""
    x = _vectors(7, dim)
    expected, _ = decode(x, None)
    for chunks in CHUNKS:
        rows, cache = [], None
        for chunk in x.split(chunks):
            found, cache = decode(chunk, cache)
            rows.append(found)
        yield f"for chunks of {', '.join(map(str, chunks))}", expected, torch.cat(rows)


@_law()
def split_invariance(packed: Callable[[Tensor, tuple[int, ...]], Tensor], *, dim: int) -> Search:
    """Documents packed into one row receive what each receives alone: for `packed(x, lengths)`."""
    x, lengths = _vectors(10, dim), (4, 1, 5)
    alone = torch.cat([packed(part, (len(part),)) for part in x.split(lengths)])
    yield f"for documents of {', '.join(map(str, lengths))} tokens", alone, packed(x, lengths)


@_law(_like_x)
def dtype_parity(
    transform: Transform, *, dim: int, dtype: torch.dtype, positions: Sequence[int] = FAR_POSITIONS
) -> Search:
    """A low-precision input is transformed as exactly as its own rounding allows, at large positions too."""
    at = torch.tensor(positions)
    x = _vectors(len(positions), dim).to(dtype)
    found = transform(x, at)
    yield f"for input in {dtype}", dtype, found.dtype
    tolerance = 4 * torch.finfo(dtype).eps * float(x.double().norm(dim=-1).max())
    yield f"for input in {dtype}", transform(x.double(), at), found.double(), tolerance


@_law(_like_x)
def device_parity(transform: Transform, *, dim: int, device: torch.device) -> Search:
    """Another device gives the same answer as the CPU."""
    x, at = _vectors(len(POSITIONS), dim), torch.tensor(POSITIONS)
    found = transform(x.to(device), at.to(device))
    yield f"for input on {device}", torch.device(device).type, found.device.type
    yield f"between cpu and {device}", transform(x, at), found.cpu()


@_law()
def agreement(function: Callable, *, reference: Callable, cases: Iterable[tuple]) -> Search:
    """The function equals the reference in every case, in the given order and again in reverse.

    The second round catches an answer that was remembered from another case. There must be a case.
    """
    cases = _given(cases)
    for case in (*cases, *reversed(cases)):
        yield _input(case), reference(*case), function(*case)


@_law()
def agreement_up_to_rows(function: Callable, *, reference: Callable, cases: Iterable[tuple]) -> Search:
    """The scores equal those of the reference up to a constant in each row, which the softmax does not notice.

    Rows are compared by how far each score lies below the greatest.
    """
    for case in _given(cases):
        expected, found = (torch.as_tensor(one(*case)) for one in (reference, function))
        yield _input(case), expected - expected.amax(-1, True), found - found.amax(-1, True)


@_law()
def injectivity(function: Callable, *, cases: Iterable[tuple]) -> Search:
    """Different cases have different answers."""
    first = {}
    for case in _given(cases):
        answer = function(*case)
        earlier = first.setdefault(_as_array(answer).tobytes(), case)
        found = "different answers" if earlier is case else f"{_show(answer)} twice"
        yield f"{_input(earlier)} and {_input(case)}", "different answers", found


@_law()
def history(function: Callable, *, cases: Iterable[tuple]) -> Search:
    """No call changes the answer to another: in any order, a case has the answer that it had at first."""
    cases = _given(cases)
    first = [copy.deepcopy(function(*case)) for case in cases]
    for case, answer in reversed(list(zip(cases, first, strict=True))):
        yield f"{_input(case)}, asked again", answer, function(*case)


def _given(cases: Iterable[tuple]) -> list[tuple]:
    cases = list(cases)
    if not cases:
        raise ValueError("cases must hold one case or more, got none")
    return cases


def _input(case: tuple) -> str:
    return f"for the input ({', '.join(map(_show, case))})"


def scores_of(transform: Transform) -> Scores:
    """Return the score function of a transformation that queries and keys share: (R_m q)·(R_n k)."""

    def scores(q: Tensor, k: Tensor, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        return transform(q, query_positions) @ transform(k, key_positions).mT

    return scores


def layer_scores(encoding: Encoding, *, dim: int) -> Scores:
    """Return the score function of one head of a layer, with generic projections after the first door.

    With it the laws of scores apply to every encoding, through whichever doors it enters.
    """
    query_weight, key_weight = (_vectors(dim, dim, seed=seed) / dim**0.5 for seed in (3, 4))

    def scores(x: Tensor, y: Tensor, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        query_positions, key_positions = encoding.place(y, query_positions, key_positions)
        q = encoding.at_input(x, query_positions) @ query_weight.to(x)
        k = encoding.at_input(y, key_positions) @ key_weight.to(y)
        return encoding.scores(q[None], k[None], query_positions, key_positions)[0]

    return scores


def layer_attention(encoding: Encoding, *, dim: int) -> Attention:
    """Return the causal attention of one head of a layer, with generic projections after the first door."""
    weights = [_vectors(dim, dim, seed=seed) / dim**0.5 for seed in (3, 4, 5)]

    def attend(x: Tensor, y: Tensor, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        query_positions, key_positions = encoding.place(y, query_positions, key_positions)
        x, y = encoding.at_input(x, query_positions), encoding.at_input(y, key_positions)
        q, k, v = (tokens[None] @ weight.to(tokens) for tokens, weight in zip((x, y, y), weights, strict=True))
        return encoding(q, k, v, query_positions, key_positions, causal=True)[0]

    return attend


def sequence_scores(encoding: Encoding, *, dim: int) -> Layer:
    """Return the layer that gives all scores of a sequence, whose positions are counted from its first token."""
    scores = layer_scores(encoding, dim=dim)

    def layer(x: Tensor) -> Tensor:
        at = torch.arange(len(x))
        return scores(x, x, at, at)

    return layer


def cached_decoder(encoding: Encoding, *, dim: int, layers: int = 2) -> Decoder:
    """Return a stack of causal layers of one head, each with a cache of its keys and values and of where they stand."""
    weights = _vectors(layers, 3, dim, dim, seed=3) / dim**0.5

    @torch.no_grad()
    def decode(x: Tensor, cache: object) -> tuple[Tensor, object]:
        at = torch.arange(len(x)) + (len(cache[0][-1]) if cache else 0)
        x, grown = encoding.at_input(x, at), []
        for (query_weight, *others), old in zip(weights, cache or [None] * layers, strict=True):
            new = (*(x[None] @ weight for weight in others), at[:, None])
            k, v, where = new if old is None else (torch.cat(pair, dim=-2) for pair in zip(old, new, strict=True))
            grown.append((k, v, where))
            x = x + encoding(x[None] @ query_weight, k, v, at, where[:, 0], causal=True)[0]
        return x, grown

    return decode


def rowwise(function: Callable[[np.ndarray, int], np.ndarray]) -> Transform:
    """Lift a NumPy function of one vector and one position to a transformation of a sequence."""

    def transform(x: Tensor, positions: Tensor) -> Tensor:
        rows = [
            np.asarray(function(row, position)) for row, position in zip(x.numpy(), positions.tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack(rows))

    return transform


def _vectors(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _compare(law: str, where: str, expected: object, found: object, atol: float) -> Counterexample | None:
    """None when the two are equal, numbers up to `atol`; otherwise the entry where they differ most."""
    if isinstance(expected, str | torch.dtype):
        return None if expected == found else Counterexample(law, where, expected, found)
    expected, found = (
        array.astype(int) if array.dtype == bool else array for array in map(_as_array, (expected, found))
    )
    if expected.shape != found.shape:
        return Counterexample(f"{law} (shape)", where, expected.shape, found.shape)
    with np.errstate(invalid="ignore"):  # of ∞ − ∞, which is no difference
        difference = np.where(expected == found, 0, np.abs(expected - found))
    if np.all(difference <= atol):  # False for NaN as well
        return None
    worst = np.unravel_index(np.argmax(np.nan_to_num(difference, nan=np.inf)), difference.shape)
    entry = f" in entry {tuple(map(int, worst))}" if worst else ""
    return Counterexample(law, where + entry, expected[worst].item(), found[worst].item())


def _as_array(value: object) -> np.ndarray:
    if not isinstance(value, Tensor):
        return np.asarray(value)
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()  # NumPy has no bfloat16


def _show(value: object) -> str:
    if isinstance(value, float | complex):
        return f"{value:.6g}"
    if isinstance(value, Tensor | np.ndarray):
        return np.array2string(_as_array(value), precision=4, threshold=8, separator=", ")
    return str(value)
