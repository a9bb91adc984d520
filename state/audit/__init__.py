"""What makes the journal provable to somebody else: seals by keys that are destroyed, anchors in other places."""
