"""The Ray runner: a pool of warm actors and one loop that moves assignments out and results back.

Imports nothing: a worker process that is told to load `actor` loads no more than that.
"""
