"""Drawings, computed on the server; the templates write the SVG.

axes        ticks of times and numbers
bars        bars over time, a plot for each kind
activity    what happened in each hour of the last day, week or month
histogram   matches of a search over time
lanes       an agent's records by kind over time
treemap     shares of a whole as rectangles
sparkline   numbers over time as lines in steps
task_graph  tasks and their dependencies
"""
