"""The node daemon as the spec has it (chapters 2.2, 5 and 8): what an LRM does in its rounds. Pure.

    rounds.begin() -> Decision                     the process starts
    rounds.step(memory, observation, now)          a tick, or a follow-up of it
    rounds.request_shutdown(memory, observation, now)   the process is asked to end (8.1)

A round is one tick step and any number of follow-ups: as long as the decision had orders or wants to be woken
at `now`. Beyond the contract of `haven.core` the caller owes this:

1. `FeedWatchdog` is performed only when every transaction of its step committed: it stands beside the
   renewal of the lock, and a watchdog that is fed on a lock nobody renewed would let a node live on that
   another one already believes dead. The other duties are performed whatever the commits said.
2. Orders are performed after the duties.
3. An observation after a commit shows what the store holds then: the lock is believed when it is seen.
"""
