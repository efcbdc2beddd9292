"""What an argument must be, said in one line each: `expect.even("dim", dim)`.

Every check raises an error that names the argument, its value and what was expected.
"""

import math
from collections.abc import Collection

import torch
from torch import Tensor


def integer(name: str, value: object) -> None:
    """`value` is an int (a bool is not)."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {value!r} of type {type(value).__name__}")


def natural(name: str, value: object, *, least: int = 1) -> None:
    """`value` is an int, `least` or more."""
    integer(name, value)
    if value < least:
        raise ValueError(f"{name} must be {least} or more, got {value}")


def even(name: str, value: object) -> None:
    """`value` is a positive even int."""
    integer(name, value)
    if value <= 0 or value % 2:
        raise ValueError(f"{name} must be a positive even number, got {value}")


def positive(name: str, value: object) -> None:
    """`value` is a finite number above zero."""
    finite(name, value)
    if value <= 0:
        raise ValueError(f"{name} must be greater than 0, got {value}")


def finite(name: str, value: object) -> None:
    """`value` is a finite real number (a bool is not)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")


def choice(name: str, value: object, allowed: Collection[str]) -> None:
    """`value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def tensor(name: str, value: object, *, min_rank: int = 0) -> None:
    """`value` is a tensor with at least `min_rank` axes."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
    if value.ndim < min_rank:
        raise ValueError(f"{name} must have at least {min_rank} axes, got {value.ndim} (shape {tuple(value.shape)})")


def floating(name: str, value: object, *, min_rank: int = 0) -> None:
    """`value` is a tensor of real floating-point numbers."""
    tensor(name, value, min_rank=min_rank)
    if not value.is_floating_point():
        raise TypeError(f"{name} must have a floating-point dtype, got {value.dtype}")


def floating_dtype(name: str, value: object) -> None:
    """`value` is a real floating-point `torch.dtype`."""
    if not isinstance(value, torch.dtype) or not value.is_floating_point:
        raise TypeError(f"{name} must be a floating-point torch.dtype, got {value!r}")


def exact(name: str, value: object) -> None:
    """`value` is a tensor of integers, float32 or float64.

    Half precision is refused: bfloat16 holds every integer only up to 256, float16 up to 2048.
    """
    tensor(name, value)
    allowed = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float32, torch.float64}
    if value.dtype not in allowed:
        raise TypeError(f"{name} must be integers, float32 or float64, got {value.dtype}")


def integers(name: str, value: object, *, min_rank: int = 0) -> None:
    """`value` is a tensor of integers (booleans are not)."""
    tensor(name, value, min_rank=min_rank)
    if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
        raise TypeError(f"{name} must be integers, got {value.dtype}")


def same_device(**tensors: Tensor) -> None:
    """All tensors lie on one device."""
    if len({value.device for value in tensors.values()}) > 1:
        devices = {name: str(value.device) for name, value in tensors.items()}
        raise ValueError(f"all tensors must be on one device, got {devices}")


def broadcasts_to(name: str, shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    """`shape` broadcasts to `target` without enlarging it."""
    fits = len(shape) <= len(target) and all(
        own in (1, other) for own, other in zip(reversed(shape), reversed(target), strict=False)
    )
    if not fits:
        raise ValueError(f"{name} has shape {tuple(shape)}, which does not broadcast to {tuple(target)}")


def all_finite(name: str, value: Tensor) -> None:
    """Every entry of `value` is finite."""
    if value.is_floating_point() and not value.isfinite().all():
        raise ValueError(f"{name} must be finite, got {value[~value.isfinite()][0].item()}")


def positions(name: str, value: object, rows: tuple[int, ...]) -> None:
    """`value` is an integer for each of the rows (..., count) of some vectors; its leading axes broadcast to theirs."""
    integers(name, value, min_rank=1)
    if value.shape[-1] != rows[-1]:
        raise ValueError(f"{name} must hold {rows[-1]} positions, got shape {tuple(value.shape)}")
    broadcasts_to(name, value.shape, rows)


def attention(q: object, k: object, v: object) -> None:
    """`q` (..., query, dim), `k` (..., key, dim) and `v` (..., key, value) are vectors that can attend."""
    for name, value in (("q", q), ("k", k), ("v", v)):
        floating(name, value, min_rank=2)
        if 0 in value.shape[-2:]:
            raise ValueError(f"{name} must have no empty axis, got shape {tuple(value.shape)}")
    same_device(q=q, k=k, v=v)
    shapes = f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}"
    if q.dtype != k.dtype or q.dtype != v.dtype:
        raise TypeError(f"q, k and v must have one dtype, got {q.dtype}, {k.dtype}, {v.dtype}")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"q and k must have the same last axis, got {shapes}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"k and v must have the same number of rows, got {shapes}")
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        raise ValueError(f"q, k and v must have the same leading axes, got {shapes}")
