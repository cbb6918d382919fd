"""Runs graphs: the composition root. Time, randomness and ids are made here and nowhere below."""
