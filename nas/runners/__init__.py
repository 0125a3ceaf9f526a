"""Runners: what executes the trials of a campaign."""
