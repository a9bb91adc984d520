"""Whether a journal is what was recorded, from its bytes alone: chain, seals and anchors.

Standard library only, and of this product nothing but `state.units` and `state.host.regular`, so that it runs where
nothing else is: `python -m state.proof BUNDLE`. The engine and the verbs use the same code.
"""
