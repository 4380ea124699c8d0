"""Man pages, completions, programs and units of this version, as files for the host: drawn from the programs' own
tables, so that they cannot say anything else than the programs do.
"""
