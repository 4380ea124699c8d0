"""Which node a service belongs on: affinity, scores, selection, rebalancing (spec 6)."""
