"""Commands for the manager that Proxmox VE has only on its command line (`crm-command stop`)."""

from haven.api.ha_resources import SID
from haven.api.params import Parameter
from haven.api.power import want_stopped
from haven.api.routes import Call, Route
from haven.api.vms import known_sid

MAX_TIMEOUT_S = 86400


def stop(call: Call) -> None:
    """Stop the VM and leave it off; the guest is given `timeout` seconds, 0: none."""
    want_stopped(call, known_sid(call.state, call.params.text("sid")), call.params.number("timeout"))


_TIMEOUT = Parameter(int, required=True, minimum=0, maximum=MAX_TIMEOUT_S)

ROUTES = (
    Route("POST", "/cluster/ha/resources/{sid}/stop", "Sys.Console", stop, {"sid": SID, "timeout": _TIMEOUT}),
)
