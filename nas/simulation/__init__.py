"""Campaigns on a virtual clock: controllers on tables and made-up landscapes, without any training."""
