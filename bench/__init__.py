"""The figures of haven, measured on lab hosts: `python -m bench`, or `make bench`.

It drives the installed program from outside, as a user would, and reads haven's own times from its history.
Only the manager's engine is measured by itself, on clusters of any size.
"""
