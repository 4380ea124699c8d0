"""What operators do with haven beyond starting and stopping: maintenance, locks, observing, drills.

Each deed is a plan over one reading of the store: what to write, what to tell, what to answer. Whoever calls
commits it, guarded, and plans again when somebody was faster.
"""
