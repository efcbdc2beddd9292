"""A lesson as its tests see it: its exercises, their solutions, and what `check` says to any answer."""

import ast
import contextlib
import copy
import functools
import io
import json
import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch

LESSONS = Path(__file__).parents[2] / "lessons"
# A displayed formula, or the label of a theorem.
STATEMENT = re.compile(r"^ *\$\$\n(.*?)\n *\$\$|^:+\{prf:(?!proof).*?\n:label: (\S+)", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def lessons():
    """Name every lesson: "rotary/plane", …"""
    paths = (path for path in LESSONS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    return sorted(path.relative_to(LESSONS).with_suffix("").as_posix() for path in paths)


@functools.cache
class Lesson:
    """One lesson, read at once and run when a verdict is first asked for; one object per name and process."""

    def __init__(self, name):
        path = LESSONS / f"{name}.ipynb"
        self.folder = path.parent
        self.code, self.prose, self.stubs, self.solutions, self.statements = [], "", {}, {}, []
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code":
                if "exercise" in cell["metadata"].get("tags", []):
                    self.stubs[_function(_parse(source))] = len(self.code)
                self.code.append(source)
                continue
            self.prose += source + "\n"
            self.statements += [" ".join((tex or label).split()) for tex, label in STATEMENT.findall(source)]
            if "{solution}" in source:
                for block in BLOCK.findall(source):
                    self.solutions[_function(ast.parse(block).body)] = block
        self.exercises = tuple(self.stubs)

    @functools.cached_property
    def names(self):
        """Run the lesson: the names that each of its cells finds defined."""
        matplotlib.use("agg")  # in this process only: a notebook's kernel must not inherit it
        names, found = {"__name__": "__main__"}, []
        with self._as_in_jupyter():
            for source in self.code:
                found.append(_kept(names))
                _run(_parse(source), names)
        return found

    def before(self, exercise):
        """Return the names that an exercise finds defined."""
        return _kept(self.names[self.stubs[exercise]])

    def solution(self, exercise):
        """Return the source of the solution that the lesson gives."""
        return self.solutions[exercise]

    def verdict(self, exercise, source=None):
        """Return what the exercise's cell prints with `source` in the place of its stub (None: the stub itself)."""
        stub = _parse(self.code[self.stubs[exercise]])
        if source is None:
            body = stub
        else:
            answer = ast.parse(source).body
            body = [node for old in stub for node in (answer if _defines(old, exercise) else [old])]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            _run(body, self.before(exercise))
        return printed.getvalue().strip()

    def planted(self, exercise, old, new):
        """Return the verdict on the solution with `old`, which must occur in it, replaced by `new`."""
        source = self.solution(exercise)
        assert old in source, f"{old!r} is not in the solution of {exercise}"
        return self.verdict(exercise, source.replace(old, new))

    def cell_with(self, passage):
        """Return the index of the one cell that has a passage of code once."""
        found = [index for index, source in enumerate(self.code) if passage in source]
        if sum(source.count(passage) for source in self.code) != 1:
            raise ValueError(f"{passage!r} must stand in the lesson once; it is in {len(found)} cells")
        return found[0]

    def altered(self, old, new):
        """Run the cell that has `old` with `new` in its place, and do not catch what it raises."""
        cell = self.cell_with(old)
        with self._as_in_jupyter():
            _run(_parse(self.code[cell].replace(old, new)), _kept(self.names[cell]))

    @contextlib.contextmanager
    def _as_in_jupyter(self):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.chdir(self.folder):
            try:
                yield
            finally:
                plt.close("all")


def _defines(node, name):
    return isinstance(node, ast.FunctionDef) and node.name == name


def _function(body):
    """Name the exercise: the function given to the cell's last statement, `check(…)`, or else the last one defined."""
    last = body[-1]
    if (
        isinstance(last, ast.Expr)
        and isinstance(last.value, ast.Call)
        and getattr(last.value.func, "id", "") == "check"
    ):
        return last.value.args[0].id
    return [node.name for node in body if isinstance(node, ast.FunctionDef)][-1]


def _kept(names):
    """Return the names as they are now: what is drawn from a generator later leaves them alone."""

    def kept(value):
        if isinstance(value, np.random.Generator):
            return copy.deepcopy(value)
        return value.clone_state() if isinstance(value, torch.Generator) else value

    return {name: kept(value) for name, value in names.items()}


def _parse(source):
    return ast.parse(re.sub(r"^%.*$", "", source, flags=re.MULTILINE)).body


def _run(body, names):
    exec(compile(ast.Module(list(body), []), "<lesson>", "exec"), names)
