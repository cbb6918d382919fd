"""Programs to read and run: numbered ones, the demo (`health`), a real DAG (`wfcommons`), the workflow patterns."""
