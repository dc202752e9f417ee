"""What to try next: the queue of ideas (`ideas/`) and the literature (`papers/`)."""
