"""TensorBoard files of a longer training, where that package is installed and they were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scalesearch.errors import MissingPackageError
from scalesearch.train.training_state import EpochRow

__all__ = ["TensorBoardLog"]


class TensorBoardLog:
    """Writes one point per epoch; a continued training goes on after `done` epochs.

    Raises:
        MissingPackageError: tensorboard cannot be imported.
    """

    def __init__(self, folder: Path, done: int = 0):
        self._writer = _writer_class()(str(folder), purge_step=done + 1)

    @staticmethod
    def check() -> None:
        """Refuse before anything is trained.

        Raises:
            MissingPackageError: tensorboard cannot be imported.
        """
        _writer_class()

    def add(self, row: EpochRow) -> None:
        """The figures of an epoch; on disk when this returns."""
        figures = {
            "loss/train": row.train_loss,
            "loss/val": row.val_loss,
            "accuracy/val": row.val_accuracy,
            "learning_rate": row.learning_rate,
            "images_per_second": row.images_per_second,
            "resolution": float(row.resolution),
        }
        for name, value in figures.items():
            self._writer.add_scalar(name, value, row.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _writer_class() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingPackageError(
            "tensorboard=true needs the package tensorboard", value=str(error), way_out="pip install tensorboard"
        ) from error
    return SummaryWriter
