"""arXiv: search, notes, PDFs."""

BASE_VARIABLE = "AUTORESEARCH_ARXIV_URL"  # another server
