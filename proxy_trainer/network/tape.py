"""What was computed, in order, and how to turn what comes back from above into what goes on below.

In place of tf.gradients, which makes twice the operations: zeros for each output that nobody uses, shapes
of tensors whose shape is known. Tracing them is most of a genome's start, running them costs every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import tensorflow as tf


@dataclass(slots=True)
class Tape:
    """Of one network in one graph. A tensor is known as the same object, which the tape keeps alive."""

    _back: list[tuple[tf.Tensor, Callable[[tf.Tensor], None]]] = field(default_factory=list)
    _watched: dict[int, tf.Tensor] = field(default_factory=dict)
    _parts: dict[int, list[tf.Tensor]] = field(default_factory=dict)

    def watch(self, x: tf.Tensor) -> None:
        """Gradients by this tensor are wanted."""
        self._watched[id(x)] = x

    def watched(self, x: tf.Tensor) -> bool:
        """Whether it is one, or was computed from one."""
        return id(x) in self._watched

    def record(self, y: tf.Tensor, back: Callable[[tf.Tensor], None]) -> tf.Tensor:
        """`back` takes the gradient by `y` and passes on those by what `y` was made of. Gives `y`."""
        self.watch(y)
        self._back.append((y, back))
        return y

    def join(self, xs: Sequence[tf.Tensor]) -> tf.Tensor:
        """One tensor of several, along the last axis."""

        def back(above: tf.Tensor) -> None:
            for x, gradient in zip(xs, tf.split(above, len(xs), axis=-1), strict=True):
                self.pass_on(x, gradient)

        return self.record(tf.concat(list(xs), axis=-1), back)

    def part(self, x: tf.Tensor, count: int) -> list[tf.Tensor]:
        """So many equal tensors of one, along the last axis. Raises KeyError where one is not used."""
        parts: list[tf.Tensor] = tf.split(x, count, axis=-1)

        # The tape runs backwards: what was recorded first comes last, when all parts have their gradients.
        self.record(
            parts[0],
            lambda _: self.pass_on(x, tf.concat([self.gradient(part) for part in parts], axis=-1)),
        )
        for part in parts[1:]:
            self.watch(part)
        return parts

    def pass_on(self, x: tf.Tensor, gradient: tf.Tensor) -> None:
        """One of the gradients by `x`, which are added up."""
        self._parts.setdefault(id(x), []).append(gradient)

    def run_back(self, gradients: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> None:
        """From the gradients by the last outputs to those by everything that is watched."""
        for y, gradient in gradients:
            self.pass_on(y, gradient)
        for y, back in reversed(self._back):
            if id(y) in self._parts:
                back(self.gradient(y))

    def gradient(self, x: tf.Tensor) -> tf.Tensor:
        """The sum of what was passed on to `x`. Raises KeyError where nothing was."""
        parts = self._parts[id(x)]
        if len(parts) > 1:
            parts[:] = [tf.raw_ops.AddN(inputs=parts)]
        return parts[0]
