"""What tests of several methods share: vectors and positions on the device of the lessons, and a watch on operations."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from posemb_ref.lesson.device import lesson_device

DEVICE = lesson_device()


def vectors(*shape, dtype=torch.float64, seed=0):
    """Draw normal numbers, the same for a seed in every dtype and on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(DEVICE, dtype)


def at(positions):
    """Return positions, or the same of many sequences."""
    return torch.as_tensor(positions, device=DEVICE)


class Watch(TorchDispatchMode):
    """Notes every tensor that an operation of torch returns, with the name of the operation."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.seen.append((function.__name__, found))
        return found
