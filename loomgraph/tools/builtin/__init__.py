"""Tools that come with the library: files in one directory, a shell, HTTP. An agent has none of them unless given.

The file tools keep to their directory, links and `..` resolved. The shell does not: it is a process of yours with
limits, so it is marked destructive, and somebody has to allow it. HTTP reaches the hosts that were named, no others.
`read_result` reads on in a result that was too long to be shown whole.
"""

from loomgraph.tools.builtin.confine import Confined
from loomgraph.tools.builtin.files import file_tools
from loomgraph.tools.builtin.http import http_tool
from loomgraph.tools.builtin.results import read_result
from loomgraph.tools.builtin.shell import shell_tool

__all__ = ["Confined", "file_tools", "http_tool", "read_result", "shell_tool"]
