"""Retention: policies of what may go, simulated before they are switched on; holds; the deletion."""

from statestore.retention.clock import confirm as confirm_clock
from statestore.retention.clock import doubt as clock_doubt
from statestore.retention.clock import note as note_clock
from statestore.retention.deletion import Deleted, carry_out
from statestore.retention.policies import Limits, change, create, delete, find, held, hold, release, switch
from statestore.retention.simulation import AgentLoss, Simulation, simulate

__all__ = [
    "AgentLoss", "Deleted", "Limits", "Simulation", "carry_out", "change", "clock_doubt", "confirm_clock", "create",
    "delete", "find", "held", "hold", "note_clock", "release", "simulate", "switch",
]  # fmt: skip
