"""Attacks a user's own evaluator with generic cheats, and says how many of them it refuses."""
