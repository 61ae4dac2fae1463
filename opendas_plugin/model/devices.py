"""The device that a name such as ``auto`` means on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendas_plugin.errors import ConfigError

if TYPE_CHECKING:
    import torch


def pick_device(name: str | torch.device) -> torch.device:
    """Finds a device by its name: ``auto`` is CUDA where there is a usable GPU and the CPU elsewhere.

    Raises:
        ConfigError: torch knows no such device, or CUDA is asked for and not there.
    """
    import torch

    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"expected a device such as auto, cpu, cuda or cuda:1, got {name!r}") from error
    if device.type == "cuda" and (not available or (device.index or 0) >= torch.cuda.device_count()):
        count = torch.cuda.device_count()
        raise ConfigError(f"device {name!r} is not usable, torch sees {count} CUDA devices; use the device cpu")
    return device
