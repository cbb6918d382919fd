"""How fast is it, beside what else there is: `python -m benchmarks` (see README.md). Not part of the distribution."""
