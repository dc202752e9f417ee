"""What people and agents read: where the session stands, documents, chart. All of it comes from the ledger."""
