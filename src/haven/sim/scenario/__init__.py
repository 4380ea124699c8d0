"""haven's own scenario format, made for people: the cluster, then what happens when, and what is expected."""
