"""Check a reader's function against laws, and say with numbers what is wrong, and for which call."""

import copy
import inspect
import re
import traceback
from collections.abc import Callable

import numpy as np
from torch import Tensor

from posemb_ref.laws import Counterexample

Law = Callable[[Callable], Counterexample | None]
FEW = 8  # entries of an array that are shown; of a larger one its shape is
CLOSE = 1e-4  # relative: a smaller difference is one of rounding


class _NotAttempted(Exception):
    pass


class _NothingReturned(Exception):
    pass


class _Attempt:
    """The reader's function, which remembers the last call: its arguments, and its answer or what it raised."""

    def __init__(self, function: Callable) -> None:
        self.function, self.name = function, getattr(function, "__name__", "the answer")
        self.arguments, self.answered, self.raised = None, False, None

    def __call__(self, *arguments: object, **options: object) -> object:
        self.arguments, self.answered = (copy.deepcopy(arguments), options), False
        try:
            self.answer = self.function(*arguments, **options)
        except Exception as error:
            self.raised = error
            raise
        if any(part is ... for part in (self.answer if isinstance(self.answer, tuple) else (self.answer,))):
            raise _NotAttempted
        if self.answer is None and "None" not in (self.function.__doc__ or ""):
            raise _NothingReturned
        self.answered = True
        return self.answer

    def call(self) -> str:
        """Return the last call: with names and values, or with the shapes of what is too large to show."""
        given, options = self.arguments
        try:
            named = inspect.signature(self.function).bind(*given, **options).arguments
        except (TypeError, ValueError):  # the function does not take these, or cannot say what it takes
            named = dict(enumerate(given)) | options
        shown = [_brief(value) if isinstance(name, int) else f"{name}={_brief(value)}" for name, value in named.items()]
        return f"{self.name}({', '.join(shown)})"


def check(attempt: Callable, *laws: Law) -> None:
    """Print whether `attempt` is "not attempted", "not yet" right (and why), or "correct".

    The call for which it fails is shown, and its arguments are kept: `attempt(*check.call)` makes it again.

    Parameters
    ----------
    attempt
        The reader's function. A stub returns `...`, which counts as "not attempted".
    laws
        Functions that take the attempt and return None or a `Counterexample`; the first one broken is explained.
    """
    tried = _Attempt(attempt)
    verdict = _verdict(tried, laws)
    print(f"{tried.name}: {verdict}")
    if tried.arguments is not None:
        check.call = tried.arguments[0]


def _verdict(attempt: _Attempt, laws: tuple[Law, ...]) -> str:
    try:
        for law in laws:
            if broken := law(attempt):
                return "not yet. " + _explained(broken, attempt)
    except _NotAttempted:
        return "not attempted"
    except _NothingReturned:
        return f"not yet. It returned nothing: is there a `return`?\n  {attempt.call()}"
    except Exception as error:  # by the reader's code, or by a law that cannot read what came back
        if error is attempt.raised:
            return f"not yet. It stopped{_line(error)} with {type(error).__name__}: {error}\n  {attempt.call()}"
        return (
            f"not yet. With what it returned, the check stopped with {type(error).__name__}: {error}"
            f"\n  {attempt.call()} returned {_brief(attempt.answer)}"
        )
    return "correct"


def _explained(broken: Counterexample, attempt: _Attempt) -> str:
    """Say which law is broken, and by which answer to which call."""
    if attempt.arguments is None:
        return str(broken)
    text = re.sub(r"for the input \(.*\)(?= in entry|: expected)", "for the call below", str(broken), flags=re.DOTALL)
    if not attempt.answered:
        return f"{text}\n  {attempt.call()}"
    return f"{text}{_gap(broken)}\n  {attempt.call()} returned {_brief(attempt.answer)}"


def _gap(broken: Counterexample) -> str:
    """Say how far apart two numbers are that look the same."""
    if not all(isinstance(value, int | float | complex) for value in (broken.expected, broken.found)):
        return ""
    gap = abs(broken.expected - broken.found)
    near = 0 < gap <= CLOSE * max(1.0, abs(broken.expected))
    return f". They differ by {gap:.0e}: is something computed in float32?" if near else ""


def _line(error: Exception) -> str:
    """Say in which line of the reader's function an error was raised, where its source is known."""
    frames = traceback.extract_tb(error.__traceback__)
    called = max(place for place, frame in enumerate(frames) if frame.filename == __file__)
    line = frames[called + 1].line if called + 1 < len(frames) else None
    return f" at `{line.strip()}`" if line else ""


def _brief(value: object) -> str:
    """Write a value as Python does, in one line; of a large array its kind and its shape."""
    if isinstance(value, tuple | list) and len(value) <= FEW:
        inner = ", ".join(map(_brief, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, np.ndarray | Tensor):
        kind = "tensor" if isinstance(value, Tensor) else "array"
        small = np.prod(value.shape, dtype=int) <= FEW
        return f"{kind}({_brief(value.tolist())})" if small else f"<{kind} {tuple(value.shape)}>"
    if isinstance(value, float):
        return f"{value:.6g}"
    if callable(value):
        return f"<{getattr(value, '__name__', type(value).__name__)}>"
    text = repr(value)
    return text if len(text) <= 80 else f"<{type(value).__name__}>"
