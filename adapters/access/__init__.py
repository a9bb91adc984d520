"""Access with an end: what a target is prepared with, and how a grant is made, watched, ended and proven there."""
