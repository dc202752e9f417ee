"""What to try next: the queue of ideas (`ideas_file`) and the literature (`arxiv_client`)."""
