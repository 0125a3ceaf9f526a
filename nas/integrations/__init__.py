"""Integrations: our controllers and evaluators inside the tools of others."""
