"""What the lab's setup and `haven setup` share: steps that say what they do, and virtual environments.

Runs with a bare Python, before anything is installed: the standard library only, and no other room.
"""
