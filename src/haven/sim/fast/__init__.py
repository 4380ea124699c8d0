"""A cluster in virtual time as haven runs it: `policy = haven`, `pacing = fast`, with every fault that SAFETY.md
speaks of. The same steps of the core as in the daemons, driven as `haven.core` asks its callers."""
