"""What users test with: checks that any store and any model must pass, a driver of interleavings, one of crashes.

Models that are scripted or recorded are in `loomgraph.models`, where runs can use them too. The library
itself never imports this package.
"""
