"""Other loops' logs and sessions, both ways."""
