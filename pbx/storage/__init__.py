"""The event log and the records on SQLite or PostgreSQL: tables, migrations and the adapters of the storage ports."""
