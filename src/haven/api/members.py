"""The nodes that a rule, a group or a command may name; `own` is this host."""

from collections.abc import Iterable, Mapping

from haven.api.errors import RefusedError, failed
from haven.api.params import shown
from haven.core.view import View
from haven.core.words import NodeState


def recorded_nodes(own: str, view: View) -> frozenset[str]:
    """This host, and every node that the manager has on record, in any state: what rules are checked against."""
    return frozenset({own, *_node_status(view)})


def node_names(own: str, view: View) -> frozenset[str]:
    """The nodes that are there: without those that have left the cluster."""
    gone = {node for node, known in _node_status(view).items() if known is NodeState.GONE}
    return recorded_nodes(own, view) - gone


def missing_nodes(own: str, view: View, named: Iterable[str]) -> list[str]:
    return sorted(set(named) - node_names(own, view))


def no_such_node(own: str, view: View, name: str) -> RefusedError:
    """In PVE's words, and which nodes there are."""
    known = sorted(node_names(own, view))
    there = f"haven runs on {known[0]} alone" if len(known) == 1 else f"nodes are {', '.join(known)}"
    return failed(f"no such cluster node '{shown(name)}': {there}")


def _node_status(view: View) -> Mapping[str, NodeState]:
    record = view.manager()
    return record.node_status if record else {}
