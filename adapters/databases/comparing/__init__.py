"""Asks two PostgreSQL servers whether they hold the same rows."""
