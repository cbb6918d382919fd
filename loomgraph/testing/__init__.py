"""What users test with: the checks that any store must pass, a driver of interleavings, a driver of crashes.

Checks for models and fakes of them are planned. The library itself never imports this package.
"""
