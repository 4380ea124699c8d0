"""What a boot of the host means for one VM: when it is started, and by whom."""

from haven.core.boot_order import started_by_haven
from haven.core.view import View


def boot_lines(view: View, node: str, sid: str) -> list[str]:
    """Nothing for a VM that libvirt starts as ever."""
    config = view.configs().get(sid)
    if config is None or not started_by_haven(view, node, sid):
        return []
    care = view.care(sid)
    if care.observe:
        return [
            "a boot of the host: haven does not start it, it only watches; libvirt does if its autostart is on"
        ]
    words = ["without a start_order, so last" if care.start_order is None else f"start_order {care.start_order}"]
    if care.start_delay_s:
        words.append(f"the next one {care.start_delay_s:g} s later")
    if care.wait_for:
        words.append(f"when {care.wait_for} is healthy, or after 5 min")
    order = "; ".join(words)
    return [f"a boot of the host: haven starts it ({order}); libvirt does not, so without haven it stays down"]
