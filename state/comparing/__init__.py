"""Whether two databases hold the same rows: what is asked of the servers, and what their answers mean. No I/O."""
