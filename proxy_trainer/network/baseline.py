"""ResNet-50-FPN, the backbone that a search must beat, as a plan for the same detector.

Blocks and pyramid as in TF Model Garden (He et al., 2016; Lin et al., CVPR 2017): the first block of a
stage strides in its 3x3 conv, laterals and pyramid convs have biases, the batch norms come last.
"""

from __future__ import annotations

from typing import Final

from proxy_trainer.network.pieces import PyramidConv, PyramidMerge, PyramidNorm, StemGroup, StemInput
from proxy_trainer.network.plan import IMAGES, Plan, Step
from search_space.genome import BlockKind
from search_space.scaling import Scaling

REPEATS: Final = {2: 3, 3: 4, 4: 6, 5: 3}
WIDTHS: Final = {2: 64, 3: 128, 4: 256, 5: 512}
"""Blocks, and channels of their 3x3 convs at width 1, by level."""

_FINEST, _LAST, _COARSEST = 3, 5, 7


def resnet_fpn_plan(scaling: Scaling) -> Plan:
    """Width and endpoint width of a scaling apply; alpha and repeats mean nothing here."""
    steps = [Step("stem", StemInput(), (IMAGES,))]
    before = "stem"
    for level, repeats in REPEATS.items():
        piece = StemGroup(
            kind=BlockKind.BOTTLENECK,
            width=int(WIDTHS[level] * scaling.width),
            repeats=repeats,
            stride=1 if level == min(REPEATS) else 2,
            project=True,
        )
        steps.append(Step(f"stage{level}", piece, (before,)))
        before = f"stage{level}"
    filters = scaling.endpoint_width
    merged = {}
    for level in range(_LAST, _FINEST - 1, -1):
        lateral = PyramidConv(filters=filters, kernel=1)
        steps.append(Step(f"lateral{level}", lateral, (f"stage{level}",)))
        merged[level] = f"lateral{level}"
        if level < _LAST:
            merged[level] = f"merge{level}"
            steps.append(Step(merged[level], PyramidMerge(), (f"lateral{level}", merged[level + 1])))
    for level in range(_FINEST, _COARSEST + 1):
        coarser = level > _LAST
        conv = PyramidConv(filters=filters, kernel=3, stride=2 if coarser else 1, activated=level > _LAST + 1)
        steps.append(Step(f"conv{level}", conv, (f"conv{level - 1}" if coarser else merged[level],)))
    outputs = {}
    for level in range(_FINEST, _COARSEST + 1):
        outputs[level] = f"endpoint{level}"
        steps.append(Step(outputs[level], PyramidNorm(), (f"conv{level}",)))
    return Plan(tuple(steps), outputs)
