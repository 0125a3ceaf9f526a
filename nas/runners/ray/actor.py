"""A worker as an actor of Ray's; all that a worker process imports of this runner."""

from __future__ import annotations

import ray

from nas.runners.worker import Worker


class Actor(Worker):
    """A worker that can say where it is: the first answer of an actor that has found a place."""

    def node(self) -> str:
        """The id of the node, short enough for people and long enough to tell nodes apart."""
        return str(ray.get_runtime_context().get_node_id())[:8]
