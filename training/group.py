"""Several processes that take each step together, every one with its own crops and one thread."""

from __future__ import annotations

import datetime
import socket
from types import TracebackType

import torch
import torch.distributed
from torch import Tensor

PATIENCE = datetime.timedelta(hours=12)
"""A stopped run (SIGSTOP) may leave its partners waiting for long."""


class Group:
    """The processes of a run; a group of one does nothing."""

    def __init__(self, rank: int, size: int, port: int) -> None:
        """Prepare to meet the others on a port of this machine."""
        self.rank, self.size, self._port = rank, size, port

    def __enter__(self) -> Group:
        """Wait until all are there."""
        if self.size > 1:
            address = f"tcp://127.0.0.1:{self._port}"
            torch.distributed.init_process_group(
                "gloo", init_method=address, rank=self.rank, world_size=self.size, timeout=PATIENCE
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        if self.size > 1 and kind is None:
            torch.distributed.destroy_process_group()

    def agree(self, factor: float | None) -> float | None:
        """Return what the first rank says."""
        if self.size == 1:
            return factor
        said = torch.tensor([-1.0 if factor is None else factor], dtype=torch.float64)
        torch.distributed.broadcast(said, 0)
        return None if said.item() < 0 else said.item()

    def average(self, gradients: list[Tensor]) -> None:
        """Replace the gradients by their mean over all processes."""
        if self.size == 1:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
