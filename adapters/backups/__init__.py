"""Stores of backups and archived WAL, read by commands that only read."""
