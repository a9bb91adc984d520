"""Replicated databases and their managers, one file per product."""
