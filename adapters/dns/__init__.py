"""Name servers, one file per protocol."""
