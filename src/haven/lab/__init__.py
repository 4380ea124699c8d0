"""Real hosts in namespaces on one machine, for the demo, the benches and the integration tests.

Drives the installed program from outside: it imports no other room and only the standard library, so that
``python3 -m haven.lab.setup`` runs with the system's bare Python before any virtual environment exists.
"""
