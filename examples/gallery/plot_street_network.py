"""
Transport on a street network
=============================

How do goods get from depots to shops if they must keep to the streets? On a graph the
cost of moving is the length of the shortest path, and the optimal plan is a flow along
the edges. Potentials on the nodes prove that no other flow is shorter.
"""

# %%
# A town of 14 × 14 crossings, with uneven blocks, and a quarter of its streets closed.
# A graph is a sparse symmetric matrix of lengths.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from otdist import Problem, solve, wasserstein_distance

rng = np.random.default_rng(5)
side = 14
place = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
place = 100 * (place + rng.uniform(-0.25, 0.25, place.shape))  # metres
number = np.arange(side**2).reshape(side, side)
streets = np.vstack(
    [
        np.column_stack([number[:, :-1].ravel(), number[:, 1:].ravel()]),
        np.column_stack([number[:-1].ravel(), number[1:].ravel()]),
    ]
)
streets = streets[rng.random(len(streets)) > 0.25]
length = np.linalg.norm(place[streets[:, 0]] - place[streets[:, 1]], axis=1)
half = coo_array((length, streets.T), shape=(side**2, side**2)).tocsr()
graph = half + half.T
part = connected_components(graph)[1]
reached = part == np.bincount(part).argmax()

# %%
# Three depots supply sixty shops.

nodes = np.flatnonzero(reached)
graph, place = graph[nodes][:, nodes], place[nodes]
print(f"{len(nodes)} crossings are connected, by {graph.nnz // 2} streets")
depots = rng.choice(len(nodes), 3, replace=False)
shops = rng.choice(np.setdiff1d(np.arange(len(nodes)), depots), 60, replace=False)
supply, demand = np.zeros((2, len(nodes)))
supply[depots], demand[shops] = [30, 20, 10], 1  # loads

result = solve(Problem.on_graph(graph, supply, demand))
print(
    result.status,
    f"{result.value / 60:.1f} m a load along streets, gap {result.relative_gap:.1e}",
)
straight = (
    wasserstein_distance(place[depots], place[shops], supply[depots], demand[shops])
    / 60
)
print(f"{straight:.1f} m a load in straight lines")

# %%
# ``coupling.matrix()`` is the flow along each street. Lines are as wide as the flow.
# The colour of a crossing is its potential: it falls by the length of the street along
# each street that is used, and by no more along any other.

flow = result.coupling.matrix()
potential = result.potentials[0]
edges = graph.tocoo()
along = potential[flow.row] - potential[flow.col] - graph[flow.row, flow.col]
steep = potential[edges.row] - potential[edges.col] - edges.data
off, above = np.abs(along).max(), max(steep.max(), 0)
print(f"used streets: the potential falls by the length, within {off:.1e} m")
print(f"all streets: it falls by no more than the length, within {above:.1e} m")

fig, ax = plt.subplots(figsize=(7.4, 6), layout="constrained")
drawn = np.stack([place[edges.row], place[edges.col]], axis=1)
ax.add_collection(LineCollection(drawn, colors="#cccccc", linewidths=1))
used = np.stack([place[flow.row], place[flow.col]], axis=1)
ax.add_collection(
    LineCollection(used, colors="#D55E00", linewidths=0.5 + 0.35 * flow.data)
)
shown = ax.scatter(*place.T, c=potential, cmap="cividis", s=22, zorder=3)
ax.scatter(
    *place[shops].T, s=60, facecolors="none", edgecolors="black", label="shop", zorder=4
)
ax.scatter(
    *place[depots].T,
    s=160,
    marker="*",
    color="#0072B2",
    ec="white",
    label="depot",
    zorder=5,
)
fig.colorbar(shown, label="potential (m)")
ax.set(xlabel="east (m)", ylabel="north (m)", aspect="equal")
fig.legend(loc="outside upper center", ncols=2, frameon=False)
plt.show()

# %%
# Source: M. Beckmann, "A continuous model of transportation", Econometrica 20, 1952.
# See also :doc:`/guide/graphs-and-circle`.
