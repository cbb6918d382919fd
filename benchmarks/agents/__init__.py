"""The twelve architectures on one task each, beside LoomFlow and LangGraph: `python -m benchmarks.agents`."""
