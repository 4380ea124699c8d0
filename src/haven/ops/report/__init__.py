"""`haven report`: what each VM did over a period, computed from the history."""
