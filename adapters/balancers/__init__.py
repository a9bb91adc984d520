"""Load balancers, one file per product."""
