"""Verdicts: pure functions from fresh readings to pass, warn, fail or unknown, with the reason as text.

Nothing passes without a reading younger than its limit; sources that disagree give CONFLICT.
"""
