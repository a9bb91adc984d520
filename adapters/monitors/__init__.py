"""Metrics, alerts and probes, one file per product."""
