"""A folder of pictures: the class is the folder that holds them, at any depth.

    pets/cat/1.jpg                        classes "cat", "dogs/poodle"; a validation part is split from all of them
    pets/dogs/poodle/2.png

    pets/train/cat/1.jpg                  `train` with `val`, `valid` or `validation`: that one is used for choosing;
    pets/val/cat/7.jpg                    without it a part of `train` is; `test` is never read

Names that start with a dot and files that are no pictures are passed over. Pictures become RGB, unless every one of
them is stored as grey.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scalesearch.data.settings import DataSettings
from scalesearch.data.source import EncodedPictures, Index, Pictures
from scalesearch.errors import DataError

__all__ = ["EXTENSIONS", "open_imagefolder"]

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm"})
_VALIDATION = frozenset({"val", "valid", "validation"})
_SPLITS = _VALIDATION | {"train", "test"}


def open_imagefolder(settings: DataSettings) -> Pictures:
    """List the pictures below data.path, sorted by their path relative to it.

    Raises:
        DataError: no such folder, no pictures, a picture outside a class folder, a validation class without a
            training class.
    """
    root = _root(settings)
    train, validation = _split_folders(root)
    files = sorted(_pictures(root, train, ()))
    own = sorted(_pictures(root, validation, ())) if validation is not None else []
    if not files:
        known = ", ".join(sorted(extension.lstrip(".") for extension in EXTENSIONS))
        way_out = f"put {known} files into one folder for each class"
        raise DataError("the folder must hold pictures in class folders", value=str(train), way_out=way_out)
    classes = [_class_of(file, root, train) for file in files]
    names = sorted(set(classes))
    if validation is not None:
        own_classes = [_class_of(file, root, validation) for file in own]
        _check_known(own_classes, names, validation)
        classes += own_classes
    position = {name: label for label, name in enumerate(names)}
    labels = np.asarray([position[name] for name in classes], dtype=np.int64)
    is_own = np.arange(len(labels)) >= len(files) if validation is not None else None
    everything = files + own
    return EncodedPictures(Index(tuple(names), labels, is_own), everything, lambda item: _read(root, everything[item]))


def _root(settings: DataSettings) -> Path:
    if settings.path is None:
        raise DataError("data=imagefolder needs a folder", way_out="set data.path=FOLDER")
    root = Path(settings.path).expanduser()
    if not root.is_dir():
        raise DataError("data.path must be a folder", value=settings.path, way_out="set data.path=FOLDER")
    return root


def _split_folders(root: Path) -> tuple[Path, Path | None]:
    """The training folder and the validation folder, if there is one."""
    folders = {path.name.lower(): path for path in _listed(root) if path.is_dir()}
    if "train" not in folders:
        if folders and _SPLITS.issuperset(folders):
            raise DataError("split folders must include train", value=", ".join(sorted(folders)), way_out="add train/")
        return root, None
    return folders["train"], next((folders[name] for name in sorted(_VALIDATION & set(folders))), None)


def _pictures(root: Path, folder: Path, above: tuple[Path, ...]) -> Iterator[str]:
    """Relative posix paths of the pictures below `folder`; links are followed, but not in a circle."""
    here = folder.resolve()
    if here in above:
        return
    for path in _listed(folder):
        if path.is_dir():
            yield from _pictures(root, path, (*above, here))
        elif path.suffix.lower() in EXTENSIONS:
            yield path.relative_to(root).as_posix()


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} must be readable", value=error.strerror, way_out="check its permissions") from error


def _class_of(file: str, root: Path, split: Path) -> str:
    name = (root / file).parent.relative_to(split).as_posix()
    if name == ".":
        raise DataError("every picture must lie in a class folder", value=file, way_out="move it into one")
    return name


def _check_known(own_classes: list[str], names: list[str], validation: Path) -> None:
    unknown = sorted(set(own_classes) - set(names))
    if unknown:
        rule = f"every class in {validation.name} must also be in train"
        raise DataError(rule, value=", ".join(unknown), way_out="rename the class folder or add training pictures")


def _read(root: Path, file: str) -> bytes:
    try:
        return (root / file).read_bytes()
    except OSError as error:
        raise DataError(f"picture {file} must be readable", value=error.strerror, way_out="check it") from error
