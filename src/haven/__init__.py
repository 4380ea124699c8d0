"""High availability for virtual machines on any Linux host with KVM and libvirt."""

__version__ = "0.1.0"
"""As in pyproject.toml. The package's metadata say it, too; to read them costs each process a megabyte."""
