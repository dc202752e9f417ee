"""The ranked queue of ideas, as a file that a human can edit."""
