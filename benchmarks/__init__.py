"""Measurements behind the figures in the docs, a script a claim."""
