"""The lab: two sites on loopback with real components, every link between them under a fault proxy.

`adapters.lab.client` is the way in; `python -m adapters.lab.supervisor` runs one in the foreground.
"""
