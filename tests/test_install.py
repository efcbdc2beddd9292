"""What README promises of Python, and what the pinned packages ask of it."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([\w.-]+)==", re.MULTILINE)


def oldest():
    """Give the oldest Python that the package promises to run on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["requires-python"].removeprefix(">=") + ".0"


def refusing(python, packages):
    """List the packages that do not install on a version of Python."""
    needs = {name: metadata.metadata(name).get("Requires-Python") for name in packages}
    return [f"{name} needs Python {need}" for name, need in needs.items() if need and python not in SpecifierSet(need)]


def test_readme_and_package_promise_the_same():
    assert f"Python {oldest().removesuffix('.0')} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_pinned_package_installs_on_the_oldest_promised_python():
    pinned = PIN.findall((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert len(pinned) > 100
    assert refusing(oldest(), pinned) == []


def test_a_package_that_refuses_is_found():
    assert refusing("3.0.0", ["numpy"])
