"""Asks every server of a cluster for what shows whether it is sound."""
