"""A lesson as its tests see it: its exercises, their solutions, and what `check` says to any answer."""

import ast
import contextlib
import functools
import io
import json
import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

LESSONS = Path(__file__).parents[2] / "lessons"
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
        self.cells, self.stubs, self.solutions = [], {}, {}
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code":
                body = ast.parse(re.sub(r"^%.*$", "", source, flags=re.MULTILINE)).body
                stub = _function(body) if "exercise" in cell["metadata"].get("tags", []) else None
                self.cells.append((stub, body))
                if stub:
                    self.stubs[stub] = body
            elif "{solution}" in source:
                for block in BLOCK.findall(source):
                    self.solutions[_function(ast.parse(block).body)] = block
        self.exercises = tuple(self.stubs)

    @functools.cached_property
    def names(self):
        """Run the lesson: the names that each exercise's cell finds defined, by exercise."""
        matplotlib.use("agg")  # in this process only: a notebook's kernel must not inherit it
        names, found = {"__name__": "__main__"}, {}
        with contextlib.redirect_stdout(io.StringIO()), contextlib.chdir(self.folder):  # as Jupyter does
            for stub, body in self.cells:
                if stub:
                    found[stub] = dict(names)
                _run(body, names)
        plt.close("all")
        return found

    def solution(self, exercise):
        """Return the source of the solution that the lesson gives."""
        return self.solutions[exercise]

    def verdict(self, exercise, source=None):
        """Return what the exercise's cell prints with `source` in the place of its stub (None: the stub itself)."""
        stub = self.stubs[exercise]
        if source is None:
            body = stub
        else:
            answer = ast.parse(source).body
            body = [node for old in stub for node in (answer if _defines(old, exercise) else [old])]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            _run(body, dict(self.names[exercise]))
        return printed.getvalue().strip()

    def planted(self, exercise, old, new):
        """Return the verdict on the solution with `old`, which must occur in it, replaced by `new`."""
        source = self.solution(exercise)
        assert old in source, f"{old!r} is not in the solution of {exercise}"
        return self.verdict(exercise, source.replace(old, new))


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


def _run(body, names):
    exec(compile(ast.Module(list(body), []), "<lesson>", "exec"), names)
