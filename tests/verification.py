"""What the tests have shown, gathered while they run, and the page that says so.

A test notes what it shows with the fixture `evidence`. When the run ends, the notes become book/verification.md: written
with `--write-verification`, otherwise compared with the page as it stands, so that a stale page fails the run. Only a run
of all test files can judge; a run of some leaves the page alone.
"""

import hashlib
import inspect
import json
import math
import os
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "book" / "verification.md"
MUTANTS = ROOT / "tests" / "mutants.json"
PARTS = ("absolute", "relative", "rotary")
CORE = ("clocks",)  # what several methods share, and papers define
TESTS = ROOT / "tests"
ENOUGH = 3  # implementations by others, for every public name
SOURCE = re.compile(r"\(([^()]*\b(?:eqs?\.|section|appendix) [^()]*(?:\([\d–]+\)[^()]*)*)\)")
DIFFERENCE = re.compile(r"\((?:exactly|below [^)]*)\)")
NOTES = re.compile(r"\b(evidence|agrees)\(")
HEAD = """# How it is verified

<!-- Written by `make verify`; `make test` fails when it is stale. -->

This page was not written by hand. The tests note what they have shown, and when they have all passed the notes are set
down here; a page that no longer says what the tests show fails them. For each public name of `posemb_ref` you find the
equation that it implements, the lesson that derives it, the laws that were tried on it without finding a counterexample,
and the independent implementations with which it was compared, three or more unless a remark says why. A difference is
given as the power of ten above it. What is called recorded is not installed beside the tests: its results were written
down once, and `tests/oracles/golden/README.md` says by which call.
"""
TORCH_HEAD = """## As PyTorch is used

Does a function compile and export as one graph, work for each member of a batch under `vmap`, on tensors of the device
`meta` (which have a shape and no numbers), in a trace, and in `inference_mode`, and can it be differentiated twice? Each
way was tried with numbers, and its answer compared.
"""
STATEMENTS_HEAD = """## What the lessons state

Does a lesson's own check fail when the statement beside it is made false? Each displayed formula and theorem is a
definition or an assumption, or it is asserted by a cell. In the cell a sign is turned over, an index moved, a factor or a
hypothesis left out, and the cell has to fail.
"""
MUTANTS_HEAD = """## Mutants

Would the tests notice a mistake? `make mutants` makes them one at a time: it turns a sign over, moves a bound, leaves out
an argument, and runs the tests of the methods on each of these mutants of the code. A mutant is killed when a test fails.
One that survives shows either a test that is missing or a change that changes nothing; each of them stands below, with
the reason why it may live. The words of error messages are left as they are, and the comparisons with other packages, the
exercises and the type checker take no part.
"""


def public(module):
    """List the names that a module defines for others."""
    members = vars(module).values()
    own = (value for value in members if getattr(value, "__module__", None) == module.__name__)
    return [value for value in own if callable(value) and not value.__name__.startswith("_")]


def source(module, member):
    """Return the equation that a docstring names, or else the source of its module."""
    named = SOURCE.search(" ".join(inspect.getdoc(member).split()))
    if named:
        return named[1]
    stated = re.search(r"Source: (.*?)(?:\n\n|$)", module.__doc__, re.DOTALL)[1]
    return re.split(r"\.\s+(?=[A-Z])|\.\s*$", " ".join(stated.split()))[0]


def title(part, name):
    """Return the title of a lesson."""
    cells = json.loads((ROOT / "lessons" / part / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return "".join(cells[0]["source"]).partition("\n")[0].removeprefix("# ")


def listed(values):
    """Join what is to be read as one list."""
    return ", ".join(sorted(values))


def entry(name, module, member, notes):
    """Say what is known of one public name."""
    found = {
        kind: [value[2:] for value in notes if value[:2] == (name, kind)] for kind in ("law", "peer", "dtype", "note")
    }
    lines = [f"`{member.__name__}`", f": Source: {source(module, member)}."]
    if found["law"]:
        lines.append(f": Laws: {listed(law for (law,) in found['law'])}.")
    if found["dtype"]:
        lines.append(f": Types: {listed(dtype for (dtype,) in found['dtype'])}.")
    if found["peer"]:
        worst = {}
        for peer, bound in found["peer"]:
            worst[peer] = max(worst.get(peer, -math.inf), bound)
        lines.append(f": Agrees with: {listed(f'{peer} ({shown(bound)})' for peer, bound in worst.items())}.")
    lines += [f": Remark: {note}." for (note,) in sorted(found["note"])]
    return "\n".join(lines)


def shown(exponent):
    """Write the power of ten above a difference."""
    return "exactly" if exponent == -math.inf else f"below $10^{{{exponent}}}$"


def used(notes):
    """Say which functions were used in each way of PyTorch, and which cannot be, and why."""
    tried = {(name, way) for name, kind, way, *_ in notes if kind == "torch"}
    holes = [(way, name, why) for name, kind, way, *rest in sorted(notes) if kind == "no torch" for why in rest]
    everywhere = sorted({name for name, way in tried if way == "compile"})
    table = ["| Way | Works for | Does not |", "| :-- | :-- | :-- |"]
    for way in sorted({way for _, way in tried}):
        names = {name for name, other in tried if other == way}
        not_ = ", ".join(f"`{name}`" for other, name, _ in holes if other == way)
        works = ", ".join(f"`{name}`" for name in sorted(names)) if len(names) < 5 else f"{len(names)} functions"
        table.append(f"| {way} | {works} | {not_} |")
    reasons = dict.fromkeys(f"`{name}` {why}." for _, name, why in holes)
    return [f"The functions: {', '.join(f'`{name}`' for name in everywhere)}.", "\n".join(table), "\n".join(reasons)]


def stated(notes):
    """Tabulate the statements of each lesson, and how many false variants of them its cells have refused."""
    table = ["| Lesson | Stated | Defined or assumed | Asserted | False variants refused |", "| :-- |" + " --: |" * 4]
    for part in PARTS:
        for path in sorted((TESTS / part).glob("*.toml")):
            lesson = f"{part}/{path.stem}"
            entries = tomllib.loads(path.read_text(encoding="utf-8"))["statement"]
            given = sum("is" in entry for entry in entries)
            refused = sum(value[:2] == (lesson, "refused") for value in notes)
            table.append(
                f"| {{doc}}`../lessons/{lesson}` | {len(entries)} | {given} | {len(entries) - given} | {refused} |"
            )
    return ["\n".join(table)]


def digest(module):
    """Tell one state of a module's source from another."""
    path = ROOT / "posemb_ref" / f"{module.replace('.', '/')}.py"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def mutants(found):
    """Say how many mutants the tests have killed, and why others survive."""
    table = ["| Module | Killed |", "| :-- | :-- |"]
    for name, count in found["modules"].items():
        since = "" if count.get("source") == digest(name) else ", before its last change"
        table.append(f"| `{name}` | {count['killed']} of {count['total']}{since} |")
    alike = {}
    for one in found["survivors"]:
        alike.setdefault(one["function"], {}).setdefault(one["why"], []).append(f"`{one['after']}`")
    survivors = [
        "\n".join([f"`{function}`", *(f": {', '.join(changes)}\\\n  {why}" for why, changes in reasons.items())])
        for function, reasons in alike.items()
    ]
    return [MUTANTS_HEAD, "\n".join(table), *survivors]


def lacking(notes):
    """List the public names that too few other packages agree with, when no remark says why."""
    paths = [path for part in PARTS for path in sorted((ROOT / "posemb_ref" / part).glob("[a-z]*.py"))]
    modules = [*CORE, *(f"{path.parent.name}.{path.stem}" for path in paths)]
    names = [f"{name}.{member.__name__}" for name in modules for member in public(import_module(f"posemb_ref.{name}"))]
    peers = {name: {value[2].split()[0] for value in notes if value[:2] == (name, "peer")} for name in names}
    remarked = {value[0] for value in notes if value[1] == "note"}
    return [name for name in names if len(peers[name]) < ENOUGH and name not in remarked]


def render(notes):
    """Write the page."""
    sections = [HEAD, "## Core"]
    for name in CORE:
        module = import_module(f"posemb_ref.{name}")
        sections += [entry(f"{name}.{member.__name__}", module, member, notes) for member in public(module)]
    for part in PARTS:
        sections.append(f"## {part.capitalize()}")
        for path in sorted((ROOT / "posemb_ref" / part).glob("[a-z]*.py")):
            name = f"{part}.{path.stem}"
            module = import_module(f"posemb_ref.{name}")
            sections.append(f"### [{title(part, path.stem)}](../lessons/{part}/{path.stem}.ipynb)")
            sections += [entry(f"{name}.{member.__name__}", module, member, notes) for member in public(module)]
    sections += [TORCH_HEAD, *used(notes), STATEMENTS_HEAD, *stated(notes)]
    sections += mutants(json.loads(MUTANTS.read_text(encoding="utf-8")))
    return "\n\n".join(section.strip("\n") for section in sections) + "\n"


def stable(page):
    """Leave out how large differences are: the last digits are another machine's, and each has its limit in its test."""
    return DIFFERENCE.sub("", page)


class Verification:
    """Gathers the notes of all workers in the process that leads them."""

    def __init__(self, config):
        self.config, self.notes, self.files, self.failed = config, set(), set(), False

    def pytest_runtest_logreport(self, report):
        """Take the notes of a test that passed."""
        self.files.add(report.nodeid.partition("::")[0])
        self.failed |= report.failed
        if report.when == "call" and report.passed:
            self.notes |= {tuple(value) for key, value in report.user_properties if key == "evidence"}

    def pytest_sessionfinish(self, session):
        """Write the page, or fail the run if it is not what the tests have just shown."""
        wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
        noting = {name for name in wanted if NOTES.search((ROOT / name).read_text(encoding="utf-8"))}
        if self.failed or not noting <= self.files or os.environ.get("POSEMB_DEVICE", "cpu") != "cpu":
            return
        self.lacking = lacking(self.notes)
        if self.lacking:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        page = render(self.notes)
        if self.config.getoption("--write-verification"):
            PAGE.write_text(page, encoding="utf-8")
        elif not PAGE.exists() or stable(PAGE.read_text(encoding="utf-8")) != stable(page):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self.stale = True

    def pytest_terminal_summary(self, terminalreporter):
        """Say why the run failed."""
        for name in getattr(self, "lacking", []):
            terminalreporter.write_line(f"{name} agrees with fewer than {ENOUGH} other packages", red=True)
        if getattr(self, "stale", False):
            terminalreporter.write_line(
                "book/verification.md is not what the tests have shown: run make verify", red=True
            )
