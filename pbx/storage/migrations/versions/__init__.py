"""The history of the schema, one alembic script a step."""
