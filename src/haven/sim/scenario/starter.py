"""The scenario that `haven sim new` writes: a homelab of three hosts, ready to run and to be changed."""

STARTER = """\
scenario: The homelab loses a host
# Run it:     haven sim run THIS_FILE
# Every word: docs/simulator.md. What follows a # is for you.

cluster:
  node1, node2, node3: 8 cpus, 32 GiB

guests:
  vm:101 "opnsense" on node1: 2 cpus, 4 GiB, max_restart 3
  vm:102 "maas" on node2: 2 cpus, 8 GiB, max_restart 3
  vm:103 "k3s" on node3: 4 cpus, 8 GiB
  vm:104 "test" on node3: 2 cpus, 2 GiB, stopped

rules:
  # the router goes home to node1 as soon as it can
  router-home: vm:101 prefers node1:2, node2:1
  # what must not go down together does not run together
  apart: vm:102 and vm:103 stay apart

options:
  shutdown_policy: conditional

# The whole time
expect: nothing is started twice
expect: nobody is told twice

# A crash: killed for lack of memory, say
at 60 s: vm:102 crashes
  expect: vm:102 runs on node2 within 60 s (fast: 5 s)
  expect: vm:102 is started once

# A host dies. First it must be certain that it runs nothing any more, then its guests are recovered.
at 300 s: power of node3 fails
  expect: node3 is fenced within 140 s (fast: 20 s)
  expect: vm:103 runs on node1 within 150 s (fast: 25 s)
  expect: vm:104 does not run
  expect: vm:101 and vm:102 never move

# The host comes back. Guests stay where they are, unless a rule calls them home.
at 600 s: power of node3 returns
  expect: node3 is in state online within 60 s
  expect: vm:103 runs on node1
"""
