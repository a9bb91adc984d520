"""Who may do what, and how it is confirmed. All policy lives in the engine; a screen only repeats it."""
