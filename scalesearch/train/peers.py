"""Workers that train one network together: gradients are averaged, everything else is kept equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, distributed, nn

from scalesearch.errors import ConfigError

__all__ = ["Peers"]


@dataclass(frozen=True, slots=True)
class Peers:
    """This worker among `size`; 1 needs no process group, more need an initialised torch.distributed.

    Batch norm uses the statistics of each worker's own part of the batch. Running statistics are averaged over the
    workers at the end of every epoch, so that all of them hold the same network when it is judged and saved.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def of_process_group(cls) -> Peers:
        """The worker of the initialised process group."""
        return cls(distributed.get_rank(), distributed.get_world_size())

    def check_batch(self, batch_size: int) -> None:
        """Every worker takes an equal part of a batch.

        Raises:
            ConfigError: the batch cannot be divided.
        """
        if batch_size % self.size or batch_size < 2 * self.size:
            raise ConfigError(
                f"a batch is divided equally between {self.size} workers, at least 2 pictures each",
                value=batch_size,
                way_out=f"choose a multiple of {self.size} for recipe.batch_size",
            )

    def wrapped(self, net: nn.Module) -> nn.Module:
        """`net` with averaged gradients (DistributedDataParallel); made anew when frozen parts thaw."""
        if self.size == 1:
            return net
        # buffers are averaged once per epoch instead of copied from rank 0 at every step
        return nn.parallel.DistributedDataParallel(net, broadcast_buffers=False)

    def average_buffers(self, net: nn.Module | None) -> None:
        """Replace every worker's running statistics by their mean."""
        if self.size == 1 or net is None:
            return
        for buffer in net.buffers():
            if buffer.is_floating_point():
                distributed.all_reduce(buffer)
                buffer /= self.size

    def total(self, values: Tensor) -> Tensor:
        """Element-wise sum over the workers."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def gathered(self, value: Tensor) -> list[Tensor]:
        """Every worker's value, in the order of ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """Wait for all workers."""
        if self.size > 1:
            distributed.barrier()

    def seed_offset(self) -> str:
        """What sets this worker's dropout apart from the others'; nothing for the first."""
        return f"/worker {self.rank}" if self.rank else ""
