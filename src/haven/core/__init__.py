"""The brain: records, states, placement, the manager's and the node's decisions. Pure: see `contract`."""
