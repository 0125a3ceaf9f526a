"""What an export came to; light enough to be imported by who only handles the error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class ExportMismatch(RuntimeError):
    """The network rebuilt from the exported files is not the one that was searched."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, and how far the rebuilt networks were from the searched ones.

    `serving_difference` is that of the SavedModel and the ONNX file. `no_picture` says why what the
    proxy finds could not be drawn, where that was to be done.
    """

    trial: int
    files: tuple[Path, ...]
    input_size: int
    parameters: int
    flops: int
    backbone_difference: float
    proxy_difference: float | None
    serving_difference: float | None = None
    no_picture: str | None = None

    def __str__(self) -> str:
        proxy = (
            "no proxy weights were kept for this trial"
            if self.proxy_difference is None
            else f"its proxy, rebuilt with the trained weights: outputs equal to {self.proxy_difference:.1e}"
        )
        size = f"{self.parameters:,} parameters, {self.flops / 1e9:.2f} B multiply-adds"
        return "\n".join(
            (
                f"trial {self.trial}, full-size backbone at {self.input_size} px: {size}",
                f"rebuilt from the files: same parameters, outputs equal to {self.backbone_difference:.1e}",
                proxy,
                *(
                    ()
                    if self.serving_difference is None
                    else (f"as SavedModel and as ONNX: outputs equal to {self.serving_difference:.1e}",)
                ),
                *(() if self.no_picture is None else (f"no picture of what it finds: {self.no_picture}",)),
                *(f"wrote {path}" for path in self.files),
            )
        )
