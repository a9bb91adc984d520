"""Approvals: what people other than the requester have agreed to, as a fold over the journal."""
