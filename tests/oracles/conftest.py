"""What implementations have computed that are not installed beside the tests: golden/README.md says who and how."""

from pathlib import Path

import numpy as np
import pytest
import torch

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def recorded():
    """Return the name under which `agrees` lists an implementation, and its arrays as tensors."""

    def recorded(name):
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
            arrays = {key: torch.from_numpy(file[key]) for key in file.files if key != "version"}
            return f"{name} {file['version']} recorded", arrays

    return recorded
