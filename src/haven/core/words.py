"""The field's words as enums: what the spec calls states, modes, results and causes."""

from enum import IntEnum, StrEnum


class Wanted(StrEnum):
    """The configured state of a service (spec 1.6)."""

    STARTED = "started"
    STOPPED = "stopped"
    DISABLED = "disabled"
    IGNORED = "ignored"


class ServiceState(StrEnum):
    """The manager's state of a service (spec 4.3)."""

    REQUEST_START = "request_start"
    STARTED = "started"
    REQUEST_STOP = "request_stop"
    STOPPED = "stopped"
    ERROR = "error"


class NodeState(StrEnum):
    """The manager's state of a node (spec 3.1)."""

    UNKNOWN = "unknown"
    ONLINE = "online"


class CrmState(StrEnum):
    """The states of the manager daemon (spec 2.1)."""

    WAIT_FOR_QUORUM = "wait_for_quorum"
    MASTER = "master"


class LrmState(StrEnum):
    """The states of the node daemon (spec 2.2)."""

    WAIT_FOR_AGENT_LOCK = "wait_for_agent_lock"
    ACTIVE = "active"


class LrmMode(StrEnum):
    """What the node daemon is doing with its services (spec 1.5)."""

    ACTIVE = "active"


class ExitCode(IntEnum):
    """Results of the node daemon's orders (spec 5.2)."""

    SUCCESS = 0
    ERROR = 1


class RestartOn(StrEnum):
    """Which ends of a VM are followed by a start.

    `failure`: a clean power-off inside the guest or a stop by another libvirt client is an intention.
    `always`: only a stop through haven is one (as Proxmox VE's HA does it).
    """

    FAILURE = "failure"
    ALWAYS = "always"


class Cause(StrEnum):
    """Why a VM stopped running."""

    CRASH = "crash"
    GUEST_PANIC = "guest_panic"
    GUEST_SHUTDOWN = "guest_shutdown"
    STOPPED_BY_HAVEN = "stopped_by_haven"
    STOPPED_ELSEWHERE = "stopped_elsewhere"
    HOST_BOOT = "host_boot"
    UNKNOWN = "unknown"


class HoldCause(StrEnum):
    """Why haven waits before it tries a VM again."""

    DISK_MISSING = "disk_missing"
    CRASH_LOOP = "crash_loop"
    START_FAILED = "start_failed"
    STOP_FAILED = "stop_failed"


class Policy(StrEnum):
    """`pve`: the spec to the letter. `haven`: the spec, changed where a promise asks for it."""

    PVE = "pve"
    HAVEN = "haven"


class Level(StrEnum):
    """How loud an event is."""

    INFO = "info"
    NOTICE = "notice"
    WARN = "warn"
    ERR = "err"


class Kind(StrEnum):
    """The vocabulary of events: spec chapter 11, then haven's own."""

    CRM_STATE = "crm_state"
    LOCK_ACQUIRED = "lock_acquired"
    NODE_STATE = "node_state"
    SERVICE_ADDED = "service_added"
    SERVICE_REMOVED = "service_removed"
    SERVICE_STATE = "service_state"
    SERVICE_COMMAND_IGNORED = "service_command_ignored"
    STOP_REQUESTED = "stop_requested"
    STOP_FAILED = "stop_failed"
    CRM_COMMAND = "crm_command"
    CRM_COMMAND_ERROR = "crm_command_error"
    RELOCATE_POLICY_NO_NODE = "relocate_policy_no_node"
    RELOCATE_POLICY_FAILED = "relocate_policy_failed"
    RELOCATE_POLICY_SUCCESS = "relocate_policy_success"
    EXEC = "exec"
    RESTART_POLICY_RETRY = "restart_policy_retry"
    RESTART_POLICY_EXHAUSTED = "restart_policy_exhausted"
    # haven's own
    VM_DOWN = "vm_down"
    VM_UP = "vm_up"
    INCIDENT_CLOSED = "incident_closed"
    VM_INTENTION = "vm_intention"
    VM_EVIDENCE = "vm_evidence"
    VM_NOTE = "vm_note"
    VM_HELD = "vm_held"
    HOLD_ENDED = "hold_ended"
    HYPERVISOR_LOST = "hypervisor_lost"
    HYPERVISOR_BACK = "hypervisor_back"
    STORE_TROUBLE = "store_trouble"
    STORE_BACK = "store_back"
    CONFIG_CHANGED = "config_changed"
    DAEMON_STARTED = "daemon_started"
    DAEMON_ERROR = "daemon_error"
