"""Whether a database cluster is sound: what is asked, what it means, and what is different from before. No I/O."""
