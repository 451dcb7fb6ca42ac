"""The data sets by name. A new source is a new file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from scalesearch.data.cifar import open_cifar10, open_cifar100
from scalesearch.data.fashion_mnist import open_fashion_mnist
from scalesearch.data.imagefolder import open_imagefolder
from scalesearch.data.npz_jpeg import open_npz_jpeg
from scalesearch.data.settings import DataSettings
from scalesearch.data.source import Pictures
from scalesearch.data.synthetic import open_synthetic
from scalesearch.errors import UnknownNameError

__all__ = ["SOURCES", "open_source"]

SOURCES: Mapping[str, Callable[[DataSettings], Pictures]] = MappingProxyType(
    {
        "fashion_mnist": open_fashion_mnist,
        "cifar10": open_cifar10,
        "cifar100": open_cifar100,
        "imagefolder": open_imagefolder,
        "npz_jpeg": open_npz_jpeg,
        "synthetic": open_synthetic,
    }
)


def open_source(settings: DataSettings) -> Pictures:
    """Open the data set that `settings` names.

    Raises:
        UnknownNameError: no such data set.
        DataError: it is missing or malformed.
    """
    if settings.name not in SOURCES:
        raise UnknownNameError.of("data set", settings.name, SOURCES)
    return SOURCES[settings.name](settings)
