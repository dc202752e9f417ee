"""What is left of money, time, runs and errors, and when the session ends."""
