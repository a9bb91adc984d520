"""Verification of signatures by OpenSSH's own program."""
