"""How dropout and drop-path go along with a family, by the published trend."""

from __future__ import annotations

import math

from scalesearch.arch.spec import NetSpec

__all__ = ["regularisation_at"]


def regularisation_at(base: NetSpec, phi: float) -> tuple[float, float]:
    """Dropout and drop-path rates of a family's member.

    Dropout rises by 0.1 every two steps of phi, from the baseline's own rate to 0.5 (to the baseline's, where that is
    higher): with 0.2 that is the released table exactly (b0 b1 .2, b2 b3 .3, b4 b5 .4, b6 and larger .5;
    tensorflow/tpu, efficientnet_builder.py; the paper, section 5, says "linearly from 0.2 for B0 to 0.5 for B7").
    Below phi 0 it stays the baseline's, as in TinyNet's release. Drop-path stays the baseline's at every phi: the
    release uses 0.2 (survival 0.8) for all, growing over the depth of each network. A baseline without dropout or
    drop-path keeps none.
    """
    if base.dropout == 0:
        return 0.0, base.drop_path
    steps = max(0, math.floor(phi / 2 + 1e-9))
    return round(min(base.dropout + 0.1 * steps, max(0.5, base.dropout)), 10), base.drop_path
