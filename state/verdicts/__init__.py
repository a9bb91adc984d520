"""Verdicts: pure functions from fresh readings to pass, warn, fail or unknown, with the reason in words.

Nothing here is green without a reading younger than its limit; sources that disagree yield CONFLICT.
"""
