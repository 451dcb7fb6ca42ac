"""Small networks of every kind, and emitted text as a module: for the tests of `scalesearch.emit`."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from scalesearch.arch.blocks import StageSpec
from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.scaling import scale_net
from scalesearch.arch.spec import NetSpec


def small(base: str, name: str, *, width: float = 0.25, resolution: int = 64) -> NetSpec:
    """A catalog network at a fraction of its width, for 10 classes."""
    spec = scale_net(catalog_spec(base), width=width, resolution=resolution, name=name)
    return spec.with_(num_classes=10)


B0 = small("efficientnet_b0", "small_b0")
LITE = small("efficientnet_lite0", "small_lite")
MOBILE = small("mobilenet_v2", "small_mobile")
FUSED = NetSpec(
    name="small_fused",
    resolution=48,
    stem_width=16,
    stages=(
        StageSpec("conv", 3, 1, 16, 2),
        StageSpec("fused_mbconv", 3, 2, 24, 2, expansion_ratio=4),
        StageSpec("mbconv", 5, 2, 32, 3, expansion_ratio=4, se_ratio=0.25),
    ),
    head_width=64,
    num_classes=10,
    drop_path=0.3,
)
MNAS = small("mnasnet_a1", "small_mnas")
RESNET = catalog_spec("resnet18").with_(
    name="small_resnet",
    stages=(StageSpec("basic", 3, 1, 16, 2), StageSpec("bottleneck", 3, 2, 32, 2, expansion_ratio=0.25)),
    stem_width=16,
    num_classes=10,
    resolution=64,
    drop_path=0.3,
)
RESNET_18 = small("resnet18", "small_resnet18").with_(drop_path=0.3, dropout=0.2)
WIDE_50 = small("wide_resnet50_2", "small_wide50")
# for small pictures: another stem, no pool, and a first block that needs no projection
RESNET_32 = small("resnet18", "cifar_resnet", resolution=32).for_small_inputs(stem_stride=1, stem_pool=False)
RESNET_32 = RESNET_32.with_(stem_kernel_size=3, in_channels=1, stem_width=24)
SQUEEZED = FUSED.with_(
    name="squeezed",
    stages=(replace(FUSED.stages[0], se_ratio=0.25, activation="relu"), *FUSED.stages[1:]),
)
GREY = FUSED.with_(name="grey", in_channels=1, stem_stride=1, resolution=28, norm_eps=1e-5, norm_momentum=0.1)
ALL = (B0, LITE, MOBILE, FUSED, MNAS, RESNET, GREY)


def module_of(text: str, folder: Path, name: str) -> ModuleType:
    """Write `text` as a module and import it."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # because timm and dataclasses look a function's module up
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module
