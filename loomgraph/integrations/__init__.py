"""Third parties, one a file, each with an optional extra of its own. None is needed to run a graph."""
