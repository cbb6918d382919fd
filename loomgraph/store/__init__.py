"""WHERE events live: memory, SQLite, codecs and migrations. Planned; today a run keeps its events in memory only.

It will never decide what runs next, and never write a value that does not read back exactly.
"""
