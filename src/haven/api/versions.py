"""The version that clients see: the Proxmox VE whose behaviour this API follows."""

import hashlib

from haven import __version__

RELEASE = "9.2"
VERSION = "9.2.11"
HAVEN_VERSION = __version__
REPO_ID = hashlib.sha1(f"haven {HAVEN_VERSION}".encode(), usedforsecurity=False).hexdigest()[:16]
VERSION_ENTRY = {"version": VERSION, "release": RELEASE, "repoid": REPO_ID}
