"""Grants that the engine keeps: asked for, armed, open, ended with proof. What is live is read from the targets."""
