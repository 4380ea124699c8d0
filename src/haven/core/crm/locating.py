"""Services whose configuration lies on another node than the records say (R-4.21)."""

from dataclasses import replace

from haven.core.crm.claims import claim_on
from haven.core.crm.desk import Desk
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.words import Kind, ServiceState

_AT_HOME = (ServiceState.REQUEST_START, ServiceState.STARTED, ServiceState.REQUEST_STOP, ServiceState.ERROR)


def found_at(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> ServiceStatus:
    """Taken to where its configuration lies."""
    if service.node == config.node:
        return service
    sentence = f"its configuration lies on {config.node}, not on {service.node}"
    fields = {"from": service.node, "to": config.node}
    desk.say(Kind.SERVICE_LOCATION_FIXED, service.sid, sentence, "R-4.21", **fields)
    return desk.put(replace(service, node=config.node))


def left_behind(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> ServiceStatus:
    """In `haven` policy also one that is not stopped: the LRM that moved it wrote that late, when its order was
    over, and neither host would look after it (SAFETY 6). Where its VM may be running comes first: its
    configuration goes there, as for a service that is added; and while nobody knows that, nothing is changed."""
    if desk.pve or not config.uuid or service.state not in _AT_HOME:
        return service
    claim = claim_on(desk, config.uuid)
    if claim.perhaps_on or desk.view.run_key_is_damaged(config.uuid):
        desk.undecided.add(service.sid)
        return service
    if claim.runs_on and claim.runs_on != config.node:
        desk.write_config(service.sid, node=claim.runs_on)
    if claim.runs_on == service.node:
        return service
    found = found_at(desk, service, desk.configs[service.sid])
    desk.explain(found, f"is on {found.node}, where its configuration lies", "R-4.21")
    return desk.services[service.sid]
