"""The ledger of releases: which artifacts each service has, and what a return to them needs."""
