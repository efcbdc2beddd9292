"""What all tests share: the device check, what nbval leaves uncompared, no silent skips in CI."""

import math
import os
from importlib import metadata

import pytest
import torch

from tests.verification import Verification

# Pictures differ in every run (SVG holds random ids), and stderr is tested on its own.
NOT_COMPARED = ("image/svg+xml", "stderr")
MUST_RUN_IN_CI = ("tests/oracles", "tests/site")


@pytest.fixture
def untyped(monkeypatch):
    """Silence the type checker, so that the function's own error is the one that answers."""
    import jaxtyping

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def pytest_collectstart(collector):
    """Tell nbval which outputs not to compare."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += NOT_COMPARED


def pytest_configure(config):
    """Stop at once when the tests are asked to run on a device that is not there."""
    if not hasattr(config, "workerinput"):  # with several processes, the one that leads them
        config.pluginmanager.register(Verification(config), "verification")
    if os.environ.get("POSEMB_DEVICE", "cpu") == "cpu":
        return
    from posemb_ref.lesson.device import lesson_device

    try:
        lesson_device()
    except RuntimeError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_addoption(parser):
    """Add the option of `make verify`."""
    parser.addoption("--write-verification", action="store_true", help="write book/verification.md")


@pytest.fixture
def evidence(request):
    """Note what a test shows: evidence("rotary.rope.rotate", "law", "linearity"). It counts if the test passes."""
    return lambda *what: request.node.user_properties.append(("evidence", what))


@pytest.fixture
def agrees(evidence):
    """Assert that a result is that of another package, and note how closely: the installed one, or with a version."""

    def agrees(function, package, found, expected, *, atol):
        expected = expected.detach()
        torch.testing.assert_close(found.detach(), expected.to(found.dtype), rtol=0, atol=atol)
        difference = float((found.double() - expected.double()).abs().max())
        exponent = math.ceil(math.log10(difference)) if difference else -math.inf
        versioned = package if " " in package else f"{package} {metadata.version(package)}"
        evidence(function, "peer", versioned, exponent)

    return agrees


def forbid_skip(report, path):
    """In CI, turn a skipped oracle or browser test into a failure."""
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        if path.replace(os.sep, "/").startswith(MUST_RUN_IN_CI):
            report.outcome = "failed"
            report.longrepr = f"skipped, which CI does not allow here: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Apply the rule to tests."""
    return forbid_skip((yield), item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Apply the rule to whole files."""
    return forbid_skip((yield), collector.nodeid)
