"""The brain: records, facts, decisions. Pure: no clock, no chance, no file, no socket, no log.

    step(memory, observation, now) -> Decision(memory, transactions, orders, events, wake_at)

once for the manager (`core.manager`) and once for the node (`core.node`). Same input, same output, always.
The caller's duties, by number:

1. Read the store and the facts first, then step; keep nothing back that an observation has a field for.
2. Perform `performed_first` at once, before any commit: restarts in place, allowed by a run key that is
   already committed (SAFETY 4).
3. Commit `transactions` in order. A refusal drops it and all after it; so does an unknown outcome, which
   is resolved by reading back (SAFETY 9).
4. Perform the manager's `duties` only when every transaction committed, in their order. The node's `orders`
   and `duties` are allowed by what was committed before the step.
5. The manager's memory and events count only when every transaction committed; otherwise the old memory
   is used with a fresh observation. The node's memory holds only what was seen and done, never what a
   commit is yet to make true: it is kept whatever the commits said, and its events too, or a restart
   performed first would be forgotten when the disk is full.
6. Feed every result of an order into a later observation, exactly once.
7. Step again at `wake_at_s` (boottime) at the latest, at once when the doorbell rings or the hypervisor
   reports something, after every commit, and at every tick. After a commit that did not succeed: after a
   short pause, with what the store holds then.
8. Look at the clock when an order is about to be given: one whose `not_after_s` has come is not given, and its
   result is `late`. The process may have stood still since the step, and others have decided meanwhile.
9. A permit to start (SAFETY 7) is given for what has a committed run key that names this node as its owner,
   and no target; one to let it arrive, and not to start it, for what names this node as its target. They are
   withdrawn before a commit that gives the key up, or names a target: who dies in between leaves a key
   without a permit, never a permit without a key. When the lease ends, all whose key names this node is
   killed (SAFETY 2), and all whose key cannot be read: it says that somebody may run it, and not who. What was
   killed so is in the lease's facts from then on.
"""
