"""What is left of the rules when a VM is no longer protected."""

from dataclasses import replace

from haven.core.transaction import Delete, Put
from haven.core.view import View


def without(view: View, sid: str) -> tuple[list[Put | Delete], str]:
    """Take a service out of all rules, and rules that name nobody then away: the writes, and what they do."""
    writes: list[Put | Delete] = []
    said = ""
    for rule in view.rules():
        if sid not in rule.resources:
            continue
        key, left = f"rule/{rule.id}", tuple(resource for resource in rule.resources if resource != sid)
        writes.append(Put(key, replace(rule, resources=left)) if left else Delete(key))
        said += f"; taken out of rule {rule.id}" + ("" if left else ", which named nobody else and is gone")
    return writes, said
