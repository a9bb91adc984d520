"""Fault injectors, one file per product."""
