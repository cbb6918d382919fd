"""WHAT next: a pure machine (events in, commands out) and the one scheduler that drives it.

Pure, free of clock, I/O and randomness: activation, binding, facts, flow, machine, maps, regions, routing, scope, state.
Effectful, on anyio: scheduler, attempts, limits, journal.
"""
