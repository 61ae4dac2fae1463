"""A second device on a machine that has none: its tensors are computed on the CPU, say otherwise, and refuse to mix.

``with pretend() as device:`` makes the device, which is called ``lazy``: a type that torch knows, builds without code
for, and whose backward passes it runs in the calling thread. A tensor of it is a wrapper around one of the CPU. The
rules are CUDA's: an operation takes tensors of one device, but for scalars (tensors without dimensions) of the CPU and
for indices of the CPU into tensors of the device; numpy, and a generator of the CPU, are refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

KIND = "lazy"

aten = torch.ops.aten
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
JOINING = {aten.cat.default, aten.stack.default}
"""Operations in which even a scalar of the CPU is refused."""


class MixedDevicesError(RuntimeError):
    """Tensors of two devices met."""


class Elsewhere(torch.Tensor):
    """A tensor of the pretended device."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, real: torch.Tensor) -> Elsewhere:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            real.size(),
            strides=real.stride(),
            storage_offset=real.storage_offset(),
            dtype=real.dtype,
            layout=real.layout,
            device=torch.device(KIND),
        )
        made.held = real
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})

    def __repr__(self, **_: Any) -> str:
        return f"Elsewhere({self.held!r})"

    def tolist(self) -> Any:
        """CUDA's tensors have it too."""
        return self.held.tolist()

    def __reduce_ex__(self, protocol: int) -> Any:
        """Pickled as the CPU's, since a wrapper has no storage of its own."""
        return _elsewhere, (self.held,)


def _elsewhere(real: torch.Tensor) -> Elsewhere:
    return Elsewhere(real)


class _Pretend(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


def dispatch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Does an operation on the CPU, if the devices of its tensors fit, and says where its results are."""
    kwargs, flat = dict(kwargs), tree_flatten((args, kwargs))[0]
    there = [x for x in flat if isinstance(x, Elsewhere)]
    here = [x for x in flat if isinstance(x, torch.Tensor) and not isinstance(x, Elsewhere)]
    asked = kwargs.get("device")
    is_asked = asked is not None and torch.device(asked).type == KIND
    if func is aten.copy_.default:
        func(*tree_map(_real, args), **kwargs)
        return args[0]
    if func is not aten._to_copy.default:
        _require_one_device(func, args, kwargs, here, there, is_asked)
    elsewhere = is_asked if asked is not None else bool(there)
    if is_asked:
        kwargs["device"] = torch.device("cpu")
    result = func(*tree_map(_real, args), **tree_map(_real, kwargs))
    if func is aten._local_scalar_dense.default:
        return result
    if _writes_first(func) and args and isinstance(args[0], torch.Tensor):
        return args[0]
    if "out" in kwargs:
        return kwargs["out"]
    return tree_map(lambda x: Elsewhere(x) if elsewhere and isinstance(x, torch.Tensor) else x, result)


def _require_one_device(func: Any, args: Any, kwargs: Any, here: list, there: list, is_asked: bool) -> None:
    generator = kwargs.get("generator")
    if generator is not None and (there or is_asked):
        raise MixedDevicesError(f"{func}: expected a {KIND!r} device type for generator but found 'cpu'")
    if not there or not here:
        return
    wrong = [x for x in here if x.dim() > 0 or func in JOINING]
    if func in INDEXING and isinstance(args[0], Elsewhere):
        wrong = [x for x in wrong if x.is_floating_point()]  # indices may be of the CPU, values may not
    if not wrong and here and _writes_first(func) and not isinstance(args[0], Elsewhere):
        wrong = here[:1]
    if wrong:
        shapes = [tuple(x.shape) for x in wrong]
        raise MixedDevicesError(
            f"Expected all tensors to be on the same device: {func} got the CPU's of shapes {shapes} beside {KIND}'s"
        )


def _writes_first(func: Any) -> bool:
    name = func._schema.name.rpartition("::")[2]
    return name.endswith("_") and not name.startswith("_")


def _real(value: Any) -> Any:
    return value.held if isinstance(value, Elsewhere) else value


@contextlib.contextmanager
def pretend() -> Iterator[torch.device]:
    """Lets the device be there; the other threads of the process know its tensors, but cannot make any."""
    own_autocast, own_question, own_tensor = torch.autocast, torch.is_autocast_enabled, torch.tensor

    class Autocast(own_autocast):  # type: ignore[misc, valid-type]
        def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
            super().__init__("cpu" if device_type == KIND else device_type, *args, **kwargs)

    def tensor(data: Any, **more: Any) -> torch.Tensor:
        """A list of the device's numbers is read as CUDA's are, one by one."""
        return own_tensor(tree_map(_real, data) if isinstance(data, list | tuple) else data, **more)

    replaced = torch.__future__.get_overwrite_module_params_on_conversion()
    lifted = torch._C._only_lift_cpu_tensors()
    torch.autocast = Autocast  # type: ignore[misc]
    torch.tensor = tensor
    torch.is_autocast_enabled = lambda kind="cpu": own_question("cpu" if kind == KIND else kind)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch._C._set_only_lift_cpu_tensors(True)
    vars(torch)[KIND] = ModuleType(KIND)  # as torch.cuda is, which checkpointing asks whether it has begun
    try:
        with _Pretend():
            yield torch.device(KIND)
    finally:
        del vars(torch)[KIND]
        torch._C._set_only_lift_cpu_tensors(lifted)
        torch.__future__.set_overwrite_module_params_on_conversion(replaced)
        torch.autocast, torch.is_autocast_enabled = own_autocast, own_question  # type: ignore[misc]
        torch.tensor = own_tensor
