"""The manager's round (spec 4.1), step by step: nodes, fencing, services, commands, disarming, rebalancing."""
