"""Comparisons of two databases that the engine makes: what was asked for, how far they are, what they found."""
