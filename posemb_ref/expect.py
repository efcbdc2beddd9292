"""What an argument must be, said in one line each: `expect.even("dim", dim)`.

Every check raises an error that names the argument, its value and what was expected. Types and shapes are looked at
always, values only where they can be read at no cost: see `readable`.
"""

import sys
from collections.abc import Collection

import torch
from torch import Tensor


def boolean(name: str, value: object) -> None:
    """`value` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, got {value!r}")


def integer(name: str, value: object) -> None:
    """`value` is an int (a bool is not), so small that the sum of two fits int64."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {value!r} of type {type(value).__name__}")
    if abs(value) > 2**62:
        raise ValueError(f"{name} must be from -2**62 to 2**62, got {value}")


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
    """`value` is a finite real number (a bool is not) that a float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}")
    if not -sys.float_info.max <= value <= sys.float_info.max:  # False for NaN as well
        raise ValueError(f"{name} must be finite, got {value}")


def choice(name: str, value: object, allowed: Collection[str]) -> None:
    """`value` is one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
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
    """`value` is a tensor of integers that int64 holds (booleans are not)."""
    tensor(name, value, min_rank=min_rank)
    if value.is_floating_point() or value.is_complex() or value.dtype in (torch.bool, torch.uint64):
        raise TypeError(f"{name} must be integers that int64 holds, got {value.dtype}")


def subtractable(name: str, value: Tensor) -> None:
    """`value` holds integers below 2**62 in size, where that can be read: int64 holds the difference of any two."""
    if not readable(value) or not value.numel():
        return
    least, most = value.min().item(), value.max().item()
    if not -(2**62) < least <= most < 2**62:
        raise ValueError(f"{name} must be integers below 2**62 in size, got {least} to {most}")


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


def broadcast(**tensors: Tensor) -> None:
    """The leading axes of all tensors broadcast."""
    try:
        torch.broadcast_shapes(*(value.shape[:-1] for value in tensors.values()))
    except RuntimeError:
        raise ValueError(f"the leading axes must broadcast, got {shapes(tensors)}") from None


def readable(value: Tensor) -> bool:
    """Say whether the entries of a tensor can be looked at at no cost.

    Not on a GPU, which would have to be waited for, nor where a graph is made (compiled, exported or traced), nor
    where a tensor has no entries of its own (meta, fake, or one of many under `vmap`).
    """
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and value.device.type == "cpu"
        and type(value) in (Tensor, torch.nn.Parameter)
        and not torch._C._functorch.is_functorch_wrapped_tensor(value)
    )


def all_finite(name: str, value: Tensor) -> None:
    """Every entry of `value` is finite, where that can be read."""
    if value.is_floating_point() and readable(value) and not value.isfinite().all():
        raise ValueError(f"{name} must be finite, got {value[~value.isfinite()][0].item()}")


def per_row(name: str, value: object, rows: tuple[int, ...], axes: int | None = None) -> None:
    """`value` is a position for each of the rows (..., count) of some vectors; its leading axes broadcast to theirs.

    With `axes`, a position has as many coordinates, and they are the last axis. Leading axes longer than 1 come all or
    none: beside `(batch, heads, seq)`, `(batch, seq)` would pass for `(heads, seq)`.
    """
    tensor(name, value, min_rank=1 if axes is None else 2)
    if axes is not None:
        coordinates(name, value, axes)
    shape = value.shape if axes is None else value.shape[:-1]
    if shape[-1] != rows[-1]:
        raise ValueError(f"{name} must hold {rows[-1]} positions, got shape {tuple(value.shape)}")
    broadcasts_to(name, shape, rows)
    if len(shape) < len(rows) and shape[:-1].numel() != 1:
        raise ValueError(
            f"{name} must have 1 axis or {len(rows)}, to say which belongs to which of {tuple(rows)}, "
            f"got shape {tuple(value.shape)}"
        )


def coordinates(name: str, value: Tensor, axes: int) -> None:
    """`value` has `axes` coordinates in its last axis."""
    if value.ndim == 0 or value.shape[-1] != axes:
        raise ValueError(f"{name} must have {axes} coordinates in the last axis, got shape {tuple(value.shape)}")


def attention(q: object, k: object, *v: object) -> None:
    """`q` (..., query, dim), `k` (..., key, dim) and, if given, `v` (..., key, value) are vectors that can attend."""
    vectors = dict(zip("qkv", (q, k, *v), strict=False))
    for name, value in vectors.items():
        floating(name, value, min_rank=2)
        if 0 in value.shape[-2:]:
            raise ValueError(f"{name} must have no empty axis, got shape {tuple(value.shape)}")
    same_device(**vectors)
    names = "q, k and v" if v else "q and k"
    if len({value.dtype for value in vectors.values()}) > 1:
        raise TypeError(f"{names} must have one dtype, got {', '.join(str(x.dtype) for x in vectors.values())}")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"q and k must have the same last axis, got {shapes(vectors)}")
    if v and k.shape[-2] != v[0].shape[-2]:
        raise ValueError(f"k and v must have the same number of rows, got {shapes(vectors)}")
    if any(value.shape[:-2] != q.shape[:-2] for value in vectors.values()):
        raise ValueError(f"{names} must have the same leading axes, got {shapes(vectors)}")


def shapes(tensors: dict[str, Tensor]) -> str:
    """Say the shape of each tensor."""
    return ", ".join(f"{name} {tuple(value.shape)}" for name, value in tensors.items())
