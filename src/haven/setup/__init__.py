"""`haven setup`: haven installed for good on a host with systemd, upgraded, rolled back, repaired, removed.

Everything but `pages` runs with a bare Python (3.11 or newer), to mend an installation whose own Python is gone:
`/opt/haven/current` has the source beside the environment that was made from it.
"""
