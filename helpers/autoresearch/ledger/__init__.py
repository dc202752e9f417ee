"""The record: what a ledger line is, how it is appended and read, and what a ledger says as a whole."""
