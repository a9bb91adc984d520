"""Who may do what, and how it is confirmed. All policy is in the engine; a screen only shows it."""
