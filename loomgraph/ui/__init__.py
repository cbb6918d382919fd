"""A page that shows the runs of a store while they go on, in a browser on this machine. Needs the extra `ui`.

Everything shown is read from the log, so any run can be looked at without the code that wrote it. What takes code
(resume, typed answers, a fork with edits) is done by the graphs that it is given. Importing this loads no server.
"""

from __future__ import annotations

from loomgraph.ui.serving import Server, serve

__all__ = ["Server", "serve"]
