"""The learning rate of a step."""

from __future__ import annotations

import math

from proxy_trainer.recipe import Recipe


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a cosine that reaches zero after the last step (`step` counts from 0)."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / (recipe.steps - recipe.warmup_steps)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


def averaging(recipe: Recipe, step: int) -> float:
    """Share of the old average that a step keeps: less at first, so that the start is soon forgotten."""
    return min(recipe.average, (1 + step) / (10 + step))
