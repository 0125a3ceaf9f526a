"""An architecture as files for TF Model Garden: its block specs, registered, and two experiments.

Written for tf-models-official 2.20, whose SpineNet takes its blocks and its scaling from module
constants. What it can't express is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import yaml

from nas.designs import Design
from search_space.catalog import MOBILE_STEM, R0_STEM

MODEL_ID: Final = "spinenas"
LEVELS: Final = [3, 4, 5, 6, 7]
RETINANET: Final = "retinanet.yaml"
MASK_RCNN: Final = "mask_rcnn.yaml"

_BACKBONE: Final = '''"""{name} in the place of Model Garden's SpineNet: import it before a model is built."""

from official.vision.modeling.backbones import {module}

{module}.SPINENET_BLOCK_SPECS = [
{specs}
]
{module}.SCALING_MAP["{model_id}"] = {scaling}
'''

_TRAIN: Final = '''"""Model Garden's own trainer with this backbone.

python train.py --experiment={experiment} --config_file={config} --mode=train --model_dir=DIR
"""

import backbone  # noqa: F401 - registers the blocks
from absl import app
from official.common import flags
from official.vision import train

if __name__ == "__main__":
    flags.define_flags()
    app.run(train.main)
'''


class NotExpressible(ValueError):
    """An architecture that TF Model Garden's SpineNet can't be told to build."""


def model_garden_files(design: Design) -> Mapping[str, str]:
    """The files by name: backbone.py, train.py, and an experiment for each detector.

    Raises NotExpressible for another stem than the released networks have, for other outputs than
    P3 to P7, and for repeated blocks in a mobile network, of which Model Garden builds only the last.
    """
    genome = design.genome
    if genome.stem not in (R0_STEM, MOBILE_STEM):
        raise NotExpressible(
            f"{design.name}: TF Model Garden's SpineNet has a stem of two level-2 bottlenecks (mobile: "
            f"MBConv on levels 1 and 2), this one has {genome.to_text().split(' | ')[0]}"
        )
    if list(genome.outputs) != LEVELS:
        raise NotExpressible(f"{design.name}: outputs on levels {list(genome.outputs)}, expected {LEVELS}")
    if genome.mobile and design.scaling.repeats > 1:
        raise NotExpressible(f"{design.name}: TF Model Garden builds no repeated mobile blocks")
    experiment = "retinanet_mobile_coco" if genome.mobile else "retinanet_spinenet_coco"
    files = {
        "backbone.py": _backbone(design),
        "train.py": _TRAIN.format(experiment=experiment, config=RETINANET),
        RETINANET: _experiment(design, mask=False),
    }
    if not genome.mobile:  # Model Garden's Mask R-CNN knows no mobile SpineNet experiment
        files[MASK_RCNN] = _experiment(design, mask=True)
    return files


def _backbone(design: Design) -> str:
    genome, scaling = design.genome, design.scaling
    settings: dict[str, float | int] = {
        "endpoints_num_filters": scaling.endpoint_width,
        "filter_size_scale": scaling.width,
        "block_repeats": scaling.repeats,
    }
    if not genome.mobile:
        settings["resample_alpha"] = scaling.alpha
    specs = (f"    ({b.level}, '{b.kind}', {b.parents}, {b.output})," for b in genome.blocks)
    return _BACKBONE.format(
        name=re.sub(r"[^\w.:-]", "_", design.name)[:60],  # it ends up in a program
        module="spinenet_mobile" if genome.mobile else "spinenet",
        specs="\n".join(specs),
        model_id=MODEL_ID,
        scaling=settings,
    )


def _experiment(design: Design, *, mask: bool) -> str:
    """What differs from Model Garden's own experiment for SpineNet."""
    kind = "spinenet_mobile" if design.genome.mobile else "spinenet"
    head = {"num_convs": design.head.convs, "num_filters": design.head.width}
    model: dict[str, object] = {
        "input_size": [design.input_size, design.input_size, 3],
        "min_level": LEVELS[0],
        "max_level": LEVELS[-1],
        "backbone": {
            "type": kind,
            kind: {"model_id": MODEL_ID, "min_level": LEVELS[0], "max_level": LEVELS[-1]},
        },
    }
    if mask:
        model["rpn_head"] = {"num_filters": design.head.width}
    else:
        model["head"] = head
    return yaml.safe_dump({"task": {"model": model}}, sort_keys=False)
