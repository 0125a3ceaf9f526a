"""Comparing points of several objectives: non-dominated ranks, crowding, hypervolume.

More is better in every objective. One point dominates another if it is nowhere less and somewhere
more. Points are rows: [n, m], n points with m objectives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

LARGEST = 1e300
"""Values are cut off here, so that no difference of two, and no sum of such, is infinite or NaN."""


def ranks(points: Points) -> NDArray[np.intp]:
    """The front of each point: 0 for those that none dominates, 1 for those that only front 0 does, ...

    Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II",
    IEEE TEC 6(2), 2002, section III.A. Equal points share a front. Takes memory for n x n answers.
    """
    nowhere_less = np.ones((len(points), len(points)), np.bool_)
    for values in points.T:
        nowhere_less &= values[:, np.newaxis] >= values
    dominates = nowhere_less & ~nowhere_less.T  # equal points are nowhere less than each other
    found = np.full(len(points), -1, np.intp)
    dominated_by = dominates.sum(axis=0)
    front, rank = np.flatnonzero(dominated_by == 0), 0
    while len(front):
        found[front] = rank
        dominated_by -= dominates[front].sum(axis=0)
        front, rank = np.flatnonzero((dominated_by == 0) & (found < 0)), rank + 1
    return found


def first_front(points: Points) -> NDArray[np.intp]:
    """The rows of the points that none dominates, equals included; the best in the first objective first.

    Quick where `ranks` would need too much memory.
    """
    kept: list[int] = []
    # In this order nothing is dominated by what comes later.
    for row in np.lexsort(-points.T[::-1]).tolist():
        better = points[kept]
        if not ((better >= points[row]).all(axis=1) & (better > points[row]).any(axis=1)).any():
            kept.append(row)
    return np.array(kept, np.intp)


def crowding(front: Points) -> NDArray[np.float64]:
    """How much room each point of one front has: the more, the lonelier.

    Deb et al. 2002, section III.B: the gap between a point's two neighbours in an objective over the
    objective's range, summed; infinite at the ends. An objective in which all are equal adds nothing;
    one or two points are all ends. Of points that are equal in an objective the earlier row is the
    better one.
    """
    count = len(front)
    if count <= 2:
        return np.full(count, np.inf)
    room = np.zeros(count)
    for values in np.clip(front, -LARGEST, LARGEST).T:
        order = np.argsort(-values, kind="stable")
        ordered = values[order]
        extent = ordered[0] - ordered[-1]
        if extent == 0:
            continue
        room[order[[0, -1]]] = np.inf
        room[order[1:-1]] += (ordered[:-2] - ordered[2:]) / extent
    return room


def crowding_by_front(points: Points, fronts: NDArray[np.intp]) -> NDArray[np.float64]:
    """The crowding distance of each point among those of its own front; `fronts` as `ranks` gives them."""
    room = np.empty(len(points))
    for rank in range(int(fronts.max(initial=-1)) + 1):
        members = fronts == rank
        room[members] = crowding(points[members])
    return room


def hypervolume(points: Points, reference: Points) -> float:
    """The volume that the points dominate above `reference` [m]; 0 where none is above it everywhere.

    Zitzler and Thiele, PPSN 1998. By slices along the last objective, which for m objectives takes
    n^(m-2) sorts: meant for two and three.
    """
    above = points - reference
    return _volume(above[(above > 0).all(axis=1)])


def _volume(points: Points) -> float:
    """The volume between the origin and points that are positive everywhere."""
    if not len(points):
        return 0.0
    order = np.argsort(-points[:, -1], kind="stable")
    points = points[order]
    thickness = points[:, -1] - np.append(points[1:, -1], 0.0)
    if points.shape[1] == 1:
        return float(points[0, 0])
    if points.shape[1] == 2:
        return float(thickness @ np.maximum.accumulate(points[:, 0]))
    return sum(
        float(thickness[row]) * _volume(points[: row + 1, :-1]) for row in np.flatnonzero(thickness > 0)
    )
