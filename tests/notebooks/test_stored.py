"""The lessons are published with their stored outputs: these must be there, in order and readable.

Whether they are still *true* is checked by nbval, which runs the lessons again (see the Makefile).
nbval says nothing about a lesson without outputs, so this file does.
"""

import itertools
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = [path for folder in ("lessons", "book") for path in (ROOT / folder).rglob("*.ipynb")]
LESSONS = sorted(path for path in NOTEBOOKS if ".ipynb_checkpoints" not in path.parts)
PICTURES = {"image/svg+xml", "image/png", "image/jpeg"}


def text(source):
    """Join a notebook field that may be a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def code_cells(notebook):
    """Return the code cells that hold code."""
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    return [cell for cell in cells if text(cell["source"]).strip()]


def order_faults(notebook):
    """Say which code cells were not run, or not in order."""
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    expected = list(range(1, len(counts) + 1))
    return [] if counts == expected else [f"execution counts {counts}, not 1 to {len(counts)}"]


def output_faults(notebook):
    """Say which outputs no reader should see, and whether there are any at all."""
    outputs = [output for cell in code_cells(notebook) for output in cell["outputs"]]
    faults = [] if outputs else ["no stored outputs"]
    for output in outputs:
        if output["output_type"] == "error":
            faults.append(f"an error: {output['ename']}: {output['evalue']}")
        if output.get("name") == "stderr":
            faults.append(f"text on stderr: {text(output['text'])[:80]!r}")
    return faults


def stream_faults(notebook):
    """Say whether what one cell prints is stored in pieces: the page would show a box for each."""
    kinds = [[output["output_type"] for output in cell["outputs"]] for cell in code_cells(notebook)]
    split = any(pair == ("stream", "stream") for kind in kinds for pair in itertools.pairwise(kind))
    return ["printed text in pieces: run make refresh"] if split else []


def figure_faults(notebook):
    """Say which pictures lack a description, a caption or a name to link to."""
    faults = []
    for cell in code_cells(notebook):
        pictures = [out for out in cell["outputs"] if PICTURES & set(out.get("data", {}))]
        mystnb = cell["metadata"].get("mystnb", {})
        where = text(cell["source"])[:60]
        if pictures and len(mystnb.get("image", {}).get("alt", "")) < 15:
            faults.append(f"no alt text that says what the figure shows: {where!r}")
        if pictures and not mystnb.get("figure", {}).get("caption"):
            faults.append(f"no caption: {where!r}")
        if pictures and not mystnb.get("figure", {}).get("name"):
            faults.append(f"no name to link to: {where!r}")
    return faults


def kernel_faults(notebook):
    """Say whether the lesson asks for a kernel that others do not have."""
    name = notebook["metadata"].get("kernelspec", {}).get("name")
    return [] if name == "python3" else [f"kernel {name!r}, not 'python3'"]


CHECKS = [order_faults, output_faults, stream_faults, figure_faults, kernel_faults]


def test_there_are_lessons():
    assert LESSONS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lesson(path, check):
    assert check(json.loads(path.read_text(encoding="utf-8"))) == []


def make(**changes):
    """Return a sound notebook of one cell with a picture, with changes to that cell."""
    mystnb = {
        "image": {"alt": "A line that rises"},
        "figure": {"name": "fig-line", "caption": "A line."},
    }
    picture = {"output_type": "display_data", "data": {"image/svg+xml": "<svg/>"}, "metadata": {}}
    cell = {
        "cell_type": "code",
        "execution_count": 1,
        "source": "plot()",
        "metadata": {"mystnb": mystnb},
        "outputs": [picture],
    }
    return {"metadata": {"kernelspec": {"name": "python3"}}, "cells": [cell | changes]}


ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "odd", "traceback": []}
PRINTED = {"output_type": "stream", "name": "stdout", "text": "a line"}
STDERR = {"output_type": "stream", "name": "stderr", "text": "a warning"}


@pytest.mark.parametrize("check", CHECKS)
def test_a_sound_notebook_passes(check):
    assert check(make()) == []


@pytest.mark.parametrize(
    ("check", "changes", "says"),
    [
        (order_faults, {"execution_count": 2}, "not 1 to 1"),
        (order_faults, {"execution_count": None}, "not 1 to 1"),
        (output_faults, {"outputs": []}, "no stored outputs"),
        (output_faults, {"outputs": [ERROR]}, "ValueError: odd"),
        (output_faults, {"outputs": [STDERR]}, "a warning"),
        (stream_faults, {"outputs": [PRINTED, PRINTED]}, "in pieces"),
        (figure_faults, {"metadata": {}}, "no alt text"),
        (figure_faults, {"metadata": {"mystnb": {"image": {"alt": "long enough text"}}}}, "caption"),
    ],
)
def test_a_faulty_notebook_is_caught(check, changes, says):
    assert any(says in fault for fault in check(make(**changes)))
