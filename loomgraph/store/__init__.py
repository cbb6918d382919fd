"""WHERE events live: the protocol, stores in memory, in SQLite and in PostgreSQL, and how values are written.

A store never decides what runs next, and what it gives back is exactly what was put in. `opening.open_store` says which
store a string means; a database's driver is loaded when its store is asked for.
"""
