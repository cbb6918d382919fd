"""What users test with: contract checks for stores and models, fakes, drivers of interleavings and crashes. Planned.

It will never be imported by the library itself.
"""
