"""`haven verify`: the guide's checklist and more, on facts that were gathered before."""
