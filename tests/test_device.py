"""The device of the lessons: what is asked for, or a loud refusal."""

import pytest
import torch

from posemb_ref.lesson.device import lesson_device


def test_the_processor_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("POSEMB_DEVICE", raising=False)
    assert lesson_device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_by_name(name, monkeypatch):
    monkeypatch.setenv("POSEMB_DEVICE", name)
    with pytest.raises(RuntimeError, match=f"POSEMB_DEVICE is '{name}', which is not available"):
        lesson_device()
