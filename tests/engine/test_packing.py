"""Several trials on one GPU, as many as its free memory holds."""

from dataclasses import replace

import pytest

from scalesearch.engine.packing import least_free, packed
from scalesearch.engine.resources import Node, allot
from scalesearch.engine.settings import EngineSettings
from scalesearch.train.memory import MemoryEstimate

GIB = 2**30
SMALL, LARGE = (MemoryEstimate(weights=0, kept=size, pictures=0, workspace=0) for size in (GIB, 4 * GIB))
PACK = EngineSettings(pack=True)


@pytest.mark.parametrize(("free", "share"), [(2 * GIB, 1), (10 * GIB, 1 / 2), (80 * GIB, 1 / 8), (10**15, 1 / 8)])
def test_the_largest_trial_decides(free: int, share: float) -> None:
    settings = packed(PACK, [SMALL, LARGE, SMALL], free)
    assert settings.gpus_per_trial == share
    assert allot(settings, [Node(64, 2)], where="here").slots == round(2 / share)


def test_what_was_chosen_stays() -> None:
    assert packed(EngineSettings(), [SMALL], 80 * GIB) == EngineSettings()
    chosen = replace(PACK, gpus_per_trial=0.5)
    assert packed(chosen, [SMALL], 80 * GIB) == chosen
    assert packed(PACK, [SMALL], None) == PACK


def test_free_memory_of_the_visible_devices() -> None:
    said = "0, GPU-1a2b, 4000\n1, GPU-3c4d, 9000\n2, GPU-5e6f, 7000\n"
    seen = [least_free(said, visible) for visible in (None, "1", "1,2", "GPU-5e", "", "-1")]
    assert seen == [4000 * 2**20, 9000 * 2**20, 7000 * 2**20, 7000 * 2**20, None, None]
    assert least_free("", None) is None
    assert least_free("0, GPU-1, [N/A]\n", None) is None
