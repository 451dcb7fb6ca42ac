"""A network as ONNX, from torch's dynamo exporter, checked against torch with onnxruntime; 8 bits on request."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from scalesearch.errors import InputError, MissingPackageError, VerificationError

__all__ = ["OnnxCheck", "save_int8", "save_onnx"]

_BATCHES: Final = (1, 3)
_INPUT, _OUTPUT = "pictures", "logits"
_TOLERANCE: Final = 1e-4  # of the largest logit; float32 sums in another order
_INLINE_BYTES: Final = 1 << 30  # protobuf holds at most 2 GiB in one file


@dataclass(frozen=True, slots=True)
class OnnxCheck:
    """How an ONNX file compares with the network in torch.

    difference: largest difference of a logit over the largest logit, on random or the given pictures.
    same_top1: share of pictures with the same first class.
    """

    difference: float
    same_top1: float


def save_onnx(net: nn.Module, path: Path, *, in_channels: int, resolution: int) -> OnnxCheck:
    """Export `net` in evaluation mode, input "pictures" (batch, in_channels, resolution, resolution), any batch.

    Networks of more than 1 GiB keep their weights in a second file, `path`.data, beside it.

    Args:
        path: the .onnx file; its folder is the caller's temporary one, the file is not written atomically.

    Raises:
        MissingPackageError: onnx, onnxscript or onnxruntime cannot be imported.
        VerificationError: onnxruntime computes other logits than torch.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        _import(package)
    net = net.eval()
    example = torch.zeros(2, in_channels, resolution, resolution)
    with _quiet():
        program = torch.onnx.export(
            net,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        )
    assert program is not None
    size = sum(tensor.numel() * tensor.element_size() for tensor in net.state_dict().values())
    program.save(str(path), external_data=size > _INLINE_BYTES)
    generator = torch.Generator().manual_seed(0)
    shape = (in_channels, resolution, resolution)
    checks = [_compare(net, path, torch.randn(size, *shape, generator=generator)) for size in _BATCHES]
    check = OnnxCheck(max(c.difference for c in checks), min(c.same_top1 for c in checks))
    if not check.difference <= _TOLERANCE:
        raise VerificationError(f"{path.name} gives other logits than torch: {check.difference:.1e} of the largest")
    return check


def save_int8(net: nn.Module, float_path: Path, path: Path, *, pictures: Tensor) -> OnnxCheck:
    """Quantise an exported file to 8 bits (static, per channel) and compare it with `net` in torch.

    Args:
        float_path: what `save_onnx` wrote.
        pictures: (n, in_channels, side, side), normalised as in training: they calibrate the ranges, so they should
            be real ones. The difference is measured on them too.

    Raises:
        InputError: no pictures.
        MissingPackageError: onnxruntime or onnx cannot be imported.
    """
    if len(pictures) == 0:
        raise InputError("8-bit quantisation needs pictures to calibrate with", value=0)
    quantization = _import("onnxruntime.quantization")
    base: Any = quantization.CalibrationDataReader
    batches = iter(torch.split(pictures, 8))

    class Reader(base):  # type: ignore[misc]
        def get_next(self) -> dict[str, Any] | None:
            batch = next(batches, None)
            return None if batch is None else {_INPUT: batch.numpy()}

    with _quiet():
        quantization.quantize_static(str(float_path), str(path), Reader(), per_channel=True)
    return _compare(net.eval(), path, pictures)


def _compare(net: nn.Module, path: Path, pictures: Tensor) -> OnnxCheck:
    session = _session(path)
    with torch.no_grad():
        expected = net(pictures)
    got = torch.from_numpy(session.run([_OUTPUT], {_INPUT: pictures.numpy()})[0])
    scale = expected.abs().max().clamp(min=1e-12)
    same = expected.argmax(1) == got.argmax(1)
    return OnnxCheck(float((expected - got).abs().max() / scale), float(same.float().mean()))


def _session(path: Path) -> Any:
    onnxruntime = _import("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _import(package: str, extras: Sequence[str] = ("onnx", "onnxscript", "onnxruntime")) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f"ONNX files need the package {package.partition('.')[0]}",
            value=str(error),
            way_out=f"pip install {' '.join(extras)}",
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' progress and their advice to people who call them by hand."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
