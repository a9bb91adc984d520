"""Journal stores."""
