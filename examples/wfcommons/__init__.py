"""A real DAG: workflow instances in WfFormat (https://wfcommons.org), as graphs. `python -m examples.wfcommons FILE`.

instance.py reads a file, workflow.py makes a graph of it and runs it with the recorded runtimes scaled down, checks.py
says whether the run kept what was promised. small.json is an instance of our own to try it on; recorded ones are at
https://github.com/wfcommons/WfInstances.
"""
