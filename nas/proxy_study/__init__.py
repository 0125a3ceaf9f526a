"""Which proxy to search with: candidates held against a reference that costs more."""
