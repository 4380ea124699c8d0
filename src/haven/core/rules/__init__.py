"""Rules that people set about where services run: checked, completed, compiled (spec 6.2-6.4, 6.8)."""
