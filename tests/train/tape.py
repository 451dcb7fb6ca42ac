"""What a CUDA graph does, on a CPU: records the operations of a step with the addresses they read and write, and runs
those operations again without any of the Python around them. A number that came from the host stays what it was."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scalesearch.train.captured_step import CaptureError


class Tape:
    """A `Capture` that emulates recording and replaying.

    Attributes:
        warmed_up, recorded, replayed: how often each was done.
    """

    def __init__(self) -> None:
        self.warmed_up = self.recorded = self.replayed = 0

    def warm_up(self, step: Callable[[], None]) -> None:
        self.warmed_up += 1
        step()

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1
        recorder = Recorder()
        with torch.random.fork_rng(devices=[]), recorder:  # a recording draws no random numbers
            step()
        recorder.undo()
        return self._player(recorder)

    def _player(self, recorder: "Recorder") -> Callable[[], None]:
        def replay() -> None:
            self.replayed += 1
            with torch.no_grad():
                for call, arguments, keywords, outputs in recorder.operations:
                    again = call(*arguments, **keywords)
                    for output, fresh in zip(outputs, tree_leaves(again), strict=True):
                        if output is not None:
                            output.copy_(fresh)

        return replay


class Recorder(TorchDispatchMode):
    """Notes every operation; what existed before and is written to is kept, so that a recording changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, list[Tensor | None]]] = []
        self._made: set[int] = set()
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default:
            raise CaptureError("the step asked the device for a number")
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        # every one, because batch norm writes its running statistics without saying so
        for tensor in given:
            where = tensor.untyped_storage().data_ptr()
            if where not in self._made and where not in self._kept:
                whole = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
                self._kept[where] = (whole, whole.clone())
        result = func(*args, **kwargs)
        places = {tensor.untyped_storage().data_ptr() for tensor in given}
        outputs: list[Tensor | None] = []
        for output in tree_leaves(result):
            own = isinstance(output, Tensor) and output.untyped_storage().data_ptr() not in places
            outputs.append(output.detach() if own else None)
            if own:
                self._made.add(output.untyped_storage().data_ptr())
        self.operations.append((func, args, kwargs, outputs))
        return result

    def undo(self) -> None:
        """Put back what the step wrote over, because a recording runs nothing."""
        for whole, before in self._kept.values():
            whole.copy_(before)


class Refusing(Tape):
    """Cannot record."""

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        raise CaptureError("operation not permitted when stream is capturing")
