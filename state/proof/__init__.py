"""Whether a journal is what was recorded, from its bytes alone: chain, seals and anchors.

Standard library only, and nothing of this product but `state.units`, so that it runs where nothing else is:
`python -m state.proof BUNDLE`. The engine and the verbs use the same code.
"""
