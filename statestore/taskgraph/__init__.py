"""Tasks and what they wait for: in layers, with what is blocked, circles, and where two records disagree.

records  the two records of what waits for what
graph    the tasks around one, with all that they wait for
layers   who stands where in a drawing
"""

from statestore.taskgraph.graph import MOST_TASKS, Graph, Node, around
from statestore.taskgraph.records import Edge

__all__ = ["MOST_TASKS", "Edge", "Graph", "Node", "around"]
