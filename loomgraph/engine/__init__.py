"""WHAT next: a pure machine (events in, commands out) and the one scheduler that drives it.

Pure, free of clock, I/O and randomness: activation, binding, early, facts, machine, maps, program, regions, routing,
scope, state, watch. Effectful, on anyio: scheduler, attempts, limits, journal, reuse, waits.
"""
