"""Laws that encodings are about, as searches for a counterexample.

A law returns None when its search finds nothing, and a `Counterexample` that explains itself with numbers otherwise.
Four kinds of subject are tried:

* a *transformation* `transform(x, positions)`, with x `(seq, dim)` and positions `(seq,)`, which returns `(seq, dim)`;
* a *score function* `scores(q, k, query_positions, key_positions)`, which returns `(query, key)`; shift invariance is
  content with `(query, …)`, as attention has it;
* a *layer* `layer(x)`, with x `(seq, dim)`, which returns `(seq, …)`;
* an *attention* `attend(x, y, query_positions, key_positions)`, in which the last of the tokens y are the tokens x, and
  look at all y up to themselves; it returns one row for each of x.

A subject is tried on copies, which it has to leave as they are, and what it returns must have the shape said above.
All searches are seeded and run in float64 unless they are about another dtype.
"""

import copy
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from posemb_ref.attention import Encoding

Transform = Callable[[Tensor, Tensor], Tensor]
Scores = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Layer = Callable[[Tensor], Tensor]
Attention = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

POSITIONS = (0, 1, 2, 5, 17, 300, 4097)
FAR_POSITIONS = (*POSITIONS, 2**20)
SHIFTS = (1, -3, 64, 10_000)


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


def _law(rows: Callable[..., tuple[int, ...]] | None = None) -> Callable:
    """Make a law of a search: every subject is tried on copies, and `rows(*inputs)` is how its shape must begin."""

    def decorate(search: Callable) -> Callable:
        name = search.__name__.replace("_", " ")

        @functools.wraps(search)
        def law(subject: Callable, **options: object) -> Counterexample | None:
            def tried(*inputs: object) -> object:
                given = _copies(inputs)
                found = subject(*given)
                _expect_unchanged(name, inputs, given)
                if rows is not None:
                    _expect_shape(name, rows(*inputs), found, inputs)
                return found

            try:
                return search(tried, **options)
            except _Broken as broken:
                return broken.args[0]

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
def identity_at_zero(transform: Transform, *, dim: int, atol: float = 1e-9) -> Counterexample | None:
    """Position 0 leaves every vector as it is."""
    x = _vectors(3, dim)
    found = transform(x, torch.zeros(3, dtype=torch.int64))
    return _compare("identity at zero", "at position 0", x, found, atol)


@_law(_like_x)
def norm_preservation(transform: Transform, *, dim: int, atol: float = 1e-9) -> Counterexample | None:
    """Every vector keeps its length at every position."""
    positions = torch.tensor(POSITIONS)
    x = _vectors(len(positions), dim)
    found = transform(x, positions)
    for position, before, after in zip(POSITIONS, x, found, strict=True):
        where = f"at position {position}"
        if broken := _compare("norm preservation", where, before.norm(), after.norm(), atol):
            return broken
    return None


@_law(_like_x)
def composition(transform: Transform, *, dim: int, atol: float = 1e-9) -> Counterexample | None:
    """Moving by a and then by b is moving by a + b."""
    x = _vectors(1, dim)
    for a in POSITIONS:
        for b in POSITIONS:
            at = torch.tensor([a]), torch.tensor([b]), torch.tensor([a + b])
            twice, once = transform(transform(x, at[0]), at[1]), transform(x, at[2])
            if broken := _compare("composition", f"for {a} then {b}", once, twice, atol):
                return broken
    return None


@_law(_like_x)
def linearity(transform: Transform, *, dim: int, atol: float = 1e-9) -> Counterexample | None:
    """At a fixed position, the transformation of 2x − 3y is twice that of x less three times that of y."""
    positions = torch.tensor(POSITIONS)
    x, y = _vectors(len(positions), dim, seed=1), _vectors(len(positions), dim, seed=2)
    expected = 2 * transform(x, positions) - 3 * transform(y, positions)
    return _compare("linearity", "for 2x − 3y", expected, transform(2 * x - 3 * y, positions), atol)


@_law(_like_x)
def locality(transform: Transform, *, dim: int, atol: float = 1e-9) -> Counterexample | None:
    """A row depends on its own vector and position alone: taken out of its sequence, it comes out the same."""
    positions = torch.tensor(POSITIONS).flip(0)
    x = _vectors(len(positions), dim)
    together = transform(x, positions)
    for row, position in enumerate(positions):
        alone = transform(x[row : row + 1], positions[row : row + 1])
        where = f"for row {row}, at position {position.item()}, taken out of its sequence"
        if broken := _compare("locality", where, together[row], alone[0], atol):
            return broken
    return None


@_law(_rows_of_x)
def shift_invariance(scores: Scores, *, dim: int, atol: float = 1e-9) -> Counterexample | None:
    """A score does not change when query and key move together."""
    q, k = _vectors(4, dim, seed=1), _vectors(5, dim, seed=2)
    m, n = torch.tensor([0, 3, 4, 40]), torch.tensor([2, 0, 4, 9, 41])
    expected = scores(q, k, m, n)
    for shift in SHIFTS:
        found = scores(q, k, m + shift, n + shift)
        where = f"when both positions move by {shift}"
        if broken := _compare("shift invariance", where, expected, found, atol):
            return broken
    return None


@_law(_query_by_key)
def toeplitz(scores: Scores, *, dim: int, atol: float = 1e-9) -> Counterexample | None:
    """With one query vector and one key vector everywhere, the score matrix is constant along its diagonals."""
    q, k = _vectors(1, dim, seed=1).expand(12, dim), _vectors(1, dim, seed=2).expand(12, dim)
    matrix = scores(q, k, torch.arange(12), torch.arange(12))
    return _compare("Toeplitz scores", "one step down the diagonal", matrix[:-1, :-1], matrix[1:, 1:], atol)


@_law(_query_by_key)
def boundedness(scores: Scores, *, dim: int, scale: float = 1.0, atol: float = 1e-9) -> Counterexample | None:
    """No position lifts a score above scale · ‖q‖ ‖k‖."""
    limit = "‖q‖ ‖k‖" if scale == 1 else f"{scale:.6g} ‖q‖ ‖k‖"
    q, k = _vectors(8, dim, seed=1), _vectors(8, dim, seed=2)
    bound = scale * q.norm(dim=-1)[:, None] * k.norm(dim=-1)
    for shift in (0, *SHIFTS):
        size = scores(q, k, torch.arange(8) + shift, torch.arange(8)).abs()
        excess = (size - bound).clamp(min=0)
        where = f"at distances around {shift}, where |score| must stay below {limit}"
        if broken := _compare("boundedness", where, torch.zeros_like(excess), excess, atol):
            return broken
    return None


@_law(_rows_of_x)
def permutation_equivariance(layer: Layer, *, dim: int, atol: float = 1e-9) -> Counterexample | None:
    """Reordering the rows of the input reorders the rows of the output, and does nothing else."""
    x = _vectors(9, dim)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    return _compare(
        "permutation equivariance", f"for the order {order.tolist()}", layer(x)[order], layer(x[order]), atol
    )


@_law(_rows_of_x)
def causality(layer: Layer, *, dim: int, atol: float = 1e-9) -> Counterexample | None:
    """A row of the output does not change when later rows of the input do."""
    x, other = _vectors(6, dim), _vectors(6, dim, seed=1)
    before = layer(x)
    for row in range(1, 6):
        after = layer(torch.cat((x[:row], other[row:])))
        where = f"when the rows from {row} on change"
        if broken := _compare("causality", where, before[:row], after[:row], atol):
            return broken
    return None


@_law(_rows_of_x)
def cached_equals_uncached(attend: Attention, *, dim: int, atol: float = 1e-9) -> Counterexample | None:
    """A token that comes alone and looks at all before it receives what it would receive among them."""
    x = _vectors(6, dim)
    for start in (0, 90):
        at = torch.arange(6) + start
        at_once = attend(x, x, at, at)
        for row in range(6):
            now, so_far = slice(row, row + 1), slice(row + 1)
            alone = attend(x[now], x[so_far], at[now], at[so_far])
            where = f"for the token at position {at[row]}, with {row} before it"
            if broken := _compare("cached equals uncached", where, at_once[row], alone[0], atol):
                return broken
    return None


@_law(_like_x)
def dtype_parity(
    transform: Transform, *, dim: int, dtype: torch.dtype, positions: Sequence[int] = FAR_POSITIONS
) -> Counterexample | None:
    """A low-precision input is transformed as exactly as its own rounding allows, at large positions too."""
    at = torch.tensor(positions)
    x = _vectors(len(positions), dim).to(dtype)
    found = transform(x, at)
    if found.dtype != dtype:
        return Counterexample("dtype parity", f"for input in {dtype}", dtype, found.dtype)
    expected = transform(x.double(), at)
    tolerance = 4 * torch.finfo(dtype).eps * float(x.double().norm(dim=-1).max())
    return _compare("dtype parity", f"for input in {dtype}", expected, found.double(), tolerance)


@_law(_like_x)
def device_parity(transform: Transform, *, dim: int, device: torch.device, atol: float = 1e-9) -> Counterexample | None:
    """Another device gives the same answer as the CPU."""
    x, at = _vectors(len(POSITIONS), dim), torch.tensor(POSITIONS)
    found = transform(x.to(device), at.to(device))
    if found.device.type != torch.device(device).type:
        return Counterexample("device parity", f"for input on {device}", device, found.device)
    return _compare("device parity", f"between cpu and {device}", transform(x, at), found.cpu(), atol)


@_law()
def agreement(
    function: Callable, *, reference: Callable, cases: Iterable[tuple], atol: float = 1e-9
) -> Counterexample | None:
    """The function equals the reference in every case, in the given order and again in reverse.

    The second round catches an answer that was remembered from another case. There must be a case.
    """
    cases = list(cases)
    if not cases:
        raise ValueError("cases must hold one case or more, got none")
    for case in (*cases, *reversed(cases)):
        where = f"for the input ({', '.join(map(_show, case))})"
        if broken := _compare("agreement", where, reference(*case), function(*case), atol):
            return broken
    return None


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
        q = encoding.at_input(x, query_positions) @ query_weight.to(x)
        k = encoding.at_input(y, key_positions) @ key_weight.to(y)
        return encoding.scores(q[None], k[None], query_positions, key_positions)[0]

    return scores


def layer_attention(encoding: Encoding, *, dim: int) -> Attention:
    """Return the causal attention of one head of a layer, with generic projections after the first door."""
    weights = [_vectors(dim, dim, seed=seed) / dim**0.5 for seed in (3, 4, 5)]

    def attend(x: Tensor, y: Tensor, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        x, y = encoding.at_input(x, query_positions), encoding.at_input(y, key_positions)
        q, k, v = (tokens[None] @ weight.to(tokens) for tokens, weight in zip((x, y, y), weights, strict=True))
        return encoding(q, k, v, query_positions, key_positions, causal=True)[0]

    return attend


def rowwise(function: Callable[[np.ndarray, int], np.ndarray]) -> Transform:
    """Lift a NumPy function of one vector and one position to a transformation of a sequence."""

    def transform(x: Tensor, positions: Tensor) -> Tensor:
        rows = [
            np.asarray(function(row, position)) for row, position in zip(x.numpy(), positions.tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack(rows))

    return transform


def _vectors(rows: int, dim: int, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dim, generator=generator, dtype=torch.float64)


def _compare(law: str, where: str, expected: object, found: object, atol: float) -> Counterexample | None:
    """None when the two are equal up to `atol`; otherwise the entry where they differ most."""
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
