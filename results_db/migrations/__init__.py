"""Alembic migrations, shipped with the package so that any installation can upgrade its databases."""
