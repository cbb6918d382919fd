"""WHAT a graph is: values, signatures, conditions, policies and the builder. No I/O, no clock, no scheduling."""
