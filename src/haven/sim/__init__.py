"""The simulator: any cluster, in virtual time, on the same core as the daemons."""
