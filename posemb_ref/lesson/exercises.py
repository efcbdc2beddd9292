"""Check a reader's function against laws, and say with numbers what is wrong."""

from collections.abc import Callable

from posemb_ref.laws import Counterexample

Law = Callable[[Callable], Counterexample | None]


class _NotAttempted(Exception):
    pass


def check(attempt: Callable, *laws: Law) -> None:
    """Print whether `attempt` is "not attempted", "not yet" right (and why), or "correct".

    Parameters
    ----------
    attempt
        The reader's function. A stub returns `...`, which counts as "not attempted".
    laws
        Functions that take the attempt and return None or a `Counterexample`; the first one broken is explained.
    """
    print(f"{getattr(attempt, '__name__', 'the answer')}: {_verdict(attempt, laws)}")


def _verdict(attempt: Callable, laws: tuple[Law, ...]) -> str:
    raised = []

    def guarded(*args: object, **kwargs: object) -> object:
        try:
            result = attempt(*args, **kwargs)
        except Exception as error:
            raised.append(error)
            raise
        if result is ...:
            raise _NotAttempted
        return result

    try:
        for law in laws:
            if broken := law(guarded):
                return f"not yet. {broken}"
    except _NotAttempted:
        return "not attempted"
    except Exception as error:  # by the reader's code, or by a law that cannot read what came back
        what = "It" if error in raised else "With what it returned, the check"
        return f"not yet. {what} stopped with {type(error).__name__}: {error}"
    return "correct"
