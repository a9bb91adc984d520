"""Places outside of this host that keep anchors of the journal."""
