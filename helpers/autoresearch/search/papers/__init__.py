"""arXiv: search, notes, PDFs."""
