"""Campaigns: what runs a search, stores it, reports it and exports its winner."""

__version__ = "0.1.0"
