"""The device on which the lessons compute."""

import os

import torch


def lesson_device() -> torch.device:
    """Return the device named by the environment variable POSEMB_DEVICE ("cpu" when unset).

    Raises
    ------
    RuntimeError
        If that device is not available here: a GPU run must never fall back to the CPU in silence.
    """
    name = os.environ.get("POSEMB_DEVICE", "cpu")
    try:
        torch.zeros(1, device=name).item()  # on "meta" there is nothing to read
    except (RuntimeError, AssertionError) as error:
        raise RuntimeError(f"POSEMB_DEVICE is {name!r}, which is not available here: {error}") from error
    return torch.device(name)
