"""Drawings, computed on the server; the templates write the SVG.

activity    what happened in each of the last 24 hours
histogram   matches of a search over time
lanes       an agent's records by kind over time
sparkline   the numbers that one path of a state had
task_graph  tasks and their dependencies
"""
