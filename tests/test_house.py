"""The house: three rooms of one name, imports that run one way, and no name that hides a module."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import posemb_ref

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "posemb_ref"
PARTS = sorted(path.name for path in (ROOT / "lessons").iterdir() if path.is_dir() and not path.name.startswith("."))
CORE = {path.stem for path in PACKAGE.glob("[a-z]*.py")} - {"encodings"}  # which is above the methods
FLOW = {"posemb_ref.rotary.rope"}  # what other methods may turn vectors with
METHODS = sorted(path for part in PARTS for path in (PACKAGE / part).glob("[a-z]*.py"))


def imported(path):
    """Name the modules of the package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("posemb_ref"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (names if node.module == "posemb_ref" else [node.module])


@pytest.mark.parametrize("path", sorted((ROOT / "lessons").glob("*/*.ipynb")), ids=lambda path: path.stem)
def test_a_lesson_has_its_tests_and_its_statements(path):
    part = ROOT / "tests" / path.parent.name
    assert (part / f"test_{path.stem}.py").exists()
    assert (part / f"{path.stem}.toml").exists()


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
def test_a_module_has_its_lesson(path):
    assert (ROOT / "lessons" / path.parent.name / f"{path.stem}.ipynb").exists()


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
def test_a_method_imports_the_core_and_no_other_method(path):
    assert set(imported(path)) - FLOW <= {f"posemb_ref.{name}" for name in CORE}


@pytest.mark.parametrize("name", sorted(CORE))
def test_the_core_imports_no_method_and_nothing_of_the_lessons(name):
    assert set(imported(PACKAGE / f"{name}.py")) <= {f"posemb_ref.{other}" for other in CORE}


@pytest.mark.parametrize("name", [*sorted(CORE), "encodings", *PARTS, "lesson"])
def test_no_name_hides_a_module(name):
    importlib.import_module(f"posemb_ref.{name}")
    assert inspect.ismodule(getattr(posemb_ref, name))
