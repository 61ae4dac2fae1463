"""The processes of a run that torchrun started, or the only one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from opendas_plugin.errors import LostProcessError, OpenDASError, OtherProcessError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


T = TypeVar("T")

PATIENCE = timedelta(hours=12)
"""How long the other processes wait for the first one, which alone evaluates and writes."""


@dataclass(frozen=True)
class World:
    """The place of this process among all; with one process every method is the identity.

    Args:
        rank: from 0; the process of rank 0 is the one that writes and prints.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """The contiguous share of this process of ``count`` things; all shares together are all of them, in order."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module in a DistributedDataParallel, which averages gradients over the processes."""
        from torch.nn.parallel import DistributedDataParallel

        return module if self.size == 1 else DistributedDataParallel(module)

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        from torch import distributed

        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def broadcast(self, make: Callable[[], T]) -> T:
        """What ``make`` returns in the writing process, which alone calls it.

        Raises:
            OpenDASError: see :meth:`together`.
        """
        from torch import distributed

        values: list[Any] = [self.together(lambda: make() if self.writes else None)]
        if self.size > 1:
            with _peers():
                distributed.broadcast_object_list(values)
        return values[0]

    def together(self, work: Callable[[], T]) -> T:
        """What ``work`` returns here, once all processes have done theirs.

        Raises:
            OpenDASError: what ``work`` raises in the first process in which it does; in all others an
                OtherProcessError, so that a user reads one sentence.
        """
        if self.size == 1:
            return work()
        result, failure = None, None
        try:
            result = work()
        except OpenDASError as error:
            failure = error
        failed = [rank for rank, has_failed in enumerate(self.gather(failure is not None)) if has_failed]
        if failure is not None and failed[0] == self.rank:
            raise failure
        if failed:
            raise OtherProcessError(f"the process of rank {failed[0]} cannot go on, and says why")
        return result  # type: ignore[return-value]

    def gather(self, value: T) -> Sequence[T]:
        """What every process has, by rank."""
        from torch import distributed

        values: list[Any] = [value] * self.size
        if self.size > 1:
            with _peers():
                distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Returns when all processes are here."""
        from torch import distributed

        if self.size > 1:
            with _peers():
                distributed.barrier()


@contextlib.contextmanager
def _peers() -> Iterator[None]:
    """Says in a sentence that another process is gone, of which gloo and NCCL say where a connection ended."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError("a process of this run was lost; give the same command again to go on") from error


def started_by_torchrun() -> bool:
    """Whether this is one of several processes that torchrun started."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextlib.contextmanager
def join(device: torch.device) -> Iterator[tuple[World, torch.device]]:
    """Joins the other processes by gloo on the CPU and NCCL on GPUs, and leaves them at the end.

    Yields:
        The place of this process, and its own device: on a machine with several GPUs, the one of its local rank.
    """
    import torch
    from torch import distributed

    if not started_by_torchrun():
        yield World(), device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield World(distributed.get_rank(), distributed.get_world_size()), device
    finally:
        distributed.destroy_process_group()
