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
    REQUEST_START_BALANCE = "request_start_balance"
    STARTED = "started"
    REQUEST_STOP = "request_stop"
    STOPPED = "stopped"
    MIGRATE = "migrate"
    RELOCATE = "relocate"
    FENCE = "fence"
    RECOVERY = "recovery"
    FREEZE = "freeze"
    ERROR = "error"


MOVING = (ServiceState.MIGRATE, ServiceState.RELOCATE)
"""On the way to another node."""

MOVES = (*MOVING, ServiceState.REQUEST_START_BALANCE)
"""The same, and a service that is handed over before it starts: a node has a move to do for it."""


class NodeState(StrEnum):
    """The manager's state of a node (spec 3.1)."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    MAINTENANCE = "maintenance"
    FENCE = "fence"
    GONE = "gone"


class CrmState(StrEnum):
    """The states of the manager daemon (spec 2.1)."""

    STARTUP = "startup"
    WAIT_FOR_QUORUM = "wait_for_quorum"
    SLAVE = "slave"
    MASTER = "master"
    LOST_MANAGER_LOCK = "lost_manager_lock"


class LrmState(StrEnum):
    """The states of the node daemon (spec 2.2)."""

    STARTUP = "startup"
    WAIT_FOR_AGENT_LOCK = "wait_for_agent_lock"
    ACTIVE = "active"
    MAINTENANCE = "maintenance"
    LOST_AGENT_LOCK = "lost_agent_lock"


class LrmMode(StrEnum):
    """What the node daemon is doing with its services (spec 1.5)."""

    ACTIVE = "active"
    RESTART = "restart"
    SHUTDOWN = "shutdown"
    MAINTENANCE = "maintenance"
    DISARM = "disarm"


class ExitCode(IntEnum):
    """Results of the node daemon's orders (spec 5.2)."""

    SUCCESS = 0
    ERROR = 1
    TRY_AGAIN = 2
    WRONG_NODE = 3
    UNKNOWN_TYPE = 4
    UNKNOWN_ORDER = 5
    BAD_PARAMETER = 6
    UNKNOWN_SERVICE = 7
    IGNORED = 8
    CRASHED = -1


class Verb(StrEnum):
    """What people ask the manager for (spec 7.1)."""

    STOP = "stop"
    MIGRATE = "migrate"
    RELOCATE = "relocate"
    ENABLE_MAINTENANCE = "enable-node-maintenance"
    DISABLE_MAINTENANCE = "disable-node-maintenance"
    DISARM = "disarm-ha"
    ARM = "arm-ha"


class DisarmMode(StrEnum):
    """What happens to the services while HA is disarmed (spec 7.5)."""

    FREEZE = "freeze"
    IGNORE = "ignore"


class DisarmState(StrEnum):
    """How far disarming has come (spec 1.4)."""

    DISARMING = "disarming"
    DISARMED = "disarmed"


class Affinity(StrEnum):
    """Together on one node, or never on the same (spec 1.6)."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


class ShutdownPolicy(StrEnum):
    """What happens to a node's services when the node is shut down (spec 8.1)."""

    CONDITIONAL = "conditional"
    FREEZE = "freeze"
    FAILOVER = "failover"
    MIGRATE = "migrate"


class ShutdownKind(StrEnum):
    """Why a node daemon is asked to end (spec 8.1); `restart`: only the daemon, the host stays up."""

    REBOOT = "reboot"
    SHUTDOWN = "shutdown"
    RESTART = "restart"


class SchedulerMode(StrEnum):
    """How the best node for a start is chosen (spec 6.5)."""

    BASIC = "basic"
    STATIC = "static"
    DYNAMIC = "dynamic"


class RebalanceMethod(StrEnum):
    """How the best automatic move is chosen (spec 6.7)."""

    BRUTEFORCE = "bruteforce"
    TOPSIS = "topsis"


class Preference(StrEnum):
    """What a node is selected for (spec 6.1)."""

    NONE = "none"
    BEST_SCORE = "best-score"
    TRY_NEXT = "try-next"


class Pacing(StrEnum):
    """`pve`: the rounds of the spec to the second. `fast`: events wake the core; a round is a tick."""

    PVE = "pve"
    FAST = "fast"


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
    OOM_KILL = "oom_kill"
    GUEST_PANIC = "guest_panic"
    GUEST_WATCHDOG = "guest_watchdog"
    HANG = "hang"
    IO_ERROR = "io_error"
    DRILL = "drill"
    GUEST_SHUTDOWN = "guest_shutdown"
    STOPPED_BY_HAVEN = "stopped_by_haven"
    STOPPED_ELSEWHERE = "stopped_elsewhere"
    HOST_BOOT = "host_boot"
    UNKNOWN = "unknown"


class HoldCause(StrEnum):
    """Why haven waits before it tries a VM again."""

    DISK_MISSING = "disk_missing"
    NOT_ENOUGH_MEMORY = "not_enough_memory"
    CRASH_LOOP = "crash_loop"
    START_FAILED = "start_failed"
    STOP_FAILED = "stop_failed"


UNTRIED = frozenset({HoldCause.NOT_ENOUGH_MEMORY})
"""Holds before anything was tried: they count no try."""


class CheckKind(StrEnum):
    """How a VM's health is looked at from outside."""

    PING = "ping"
    TCP = "tcp"
    HTTP = "http"


class HangStage(StrEnum):
    """How far haven is with a VM that shows no life.

    `none`: it lives, or is not looked after. `found`: told, not reset yet. `reset`: reset, life is waited for.
    `failed`: it could not be reset. `ended`: its QEMU was ended, to be started anew.
    """

    NONE = "none"
    FOUND = "found"
    RESET = "reset"
    FAILED = "failed"
    ENDED = "ended"


class HandsOff(StrEnum):
    """Why haven does nothing to a VM just now.

    `observe`: it is protected in words only. `maintenance`: a person works on it. `locked`: a job runs on it, or
    a person locked it: it is neither reset nor stopped, and started again only when the lock ends.
    """

    OBSERVE = "observe"
    MAINTENANCE = "maintenance"
    LOCKED = "locked"


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
    EMAIL = "email"


class Kind(StrEnum):
    """The vocabulary of events: spec chapter 11, then haven's own."""

    CRM_STATE = "crm_state"
    LRM_STATE = "lrm_state"
    LOCK_ACQUIRED = "lock_acquired"
    MANAGER_LOCK_RELEASED = "manager_lock_released"
    CRM_SHUTDOWN_REQUEST = "crm_shutdown_request"
    CRM_IDLE = "crm_idle"
    LRM_IDLE = "lrm_idle"
    SCHEDULER_MODE = "scheduler_mode"
    MASTER_OFFLINE = "master_offline"
    NODE_STATE = "node_state"
    NODE_DELETED = "node_deleted"
    FENCE_NOTIFICATION = "fence_notification"
    FENCE_ACKNOWLEDGED = "fence_acknowledged"
    FENCE_WITHOUT_SERVICES = "fence_without_services"
    SERVICE_ADDED = "service_added"
    SERVICE_REMOVED = "service_removed"
    SERVICE_STATE = "service_state"
    SERVICE_LOCATION_FIXED = "service_location_fixed"
    SERVICE_NODE_UPDATED = "service_node_updated"
    SERVICE_COMMAND_IGNORED = "service_command_ignored"
    SERVICE_LOCK_REMOVED = "service_lock_removed"
    MOVE_DECIDED = "move_decided"
    RECOVERY_DECIDED = "recovery_decided"
    RECOVERY_FAILED = "recovery_failed"
    START_FAILED_RELOCATE = "start_failed_relocate"
    START_UNRECOVERABLE = "start_unrecoverable"
    STOP_REQUESTED = "stop_requested"
    STOP_FAILED = "stop_failed"
    MOVE_FAILED = "move_failed"
    MAINTENANCE_RETURN = "maintenance_return"
    MAINTENANCE_STALE_CLEARED = "maintenance_stale_cleared"
    MAINTENANCE_FALLBACK_DROPPED = "maintenance_fallback_dropped"
    START_BALANCE_DECIDED = "start_balance_decided"
    START_BALANCE_IGNORED = "start_balance_ignored"
    AUTO_REBALANCE = "auto_rebalance"
    CRM_COMMAND = "crm_command"
    CRM_COMMAND_COMPANION = "crm_command_companion"
    CRM_COMMAND_BLOCKED = "crm_command_blocked"
    CRM_COMMAND_ERROR = "crm_command_error"
    CRM_COMMAND_IGNORED = "crm_command_ignored"
    DISARM_FREEZE = "disarm_freeze"
    DISARM_SUSPEND = "disarm_suspend"
    DISARM_DEFERRED = "disarm_deferred"
    DISARM_COMPLETE = "disarm_complete"
    DISARM_IGNORED = "disarm_ignored"
    DISARMED_TAKEOVER = "disarmed_takeover"
    ARM_IGNORED = "arm_ignored"
    CRM_WATCHDOG_RELEASED = "crm_watchdog_released"
    CRM_REARMED = "crm_rearmed"
    RELOCATE_POLICY_NO_NODE = "relocate_policy_no_node"
    RELOCATE_POLICY_FAILED = "relocate_policy_failed"
    RELOCATE_POLICY_SUCCESS = "relocate_policy_success"
    RULE_DROPPED = "rule_dropped"
    GROUP_MIGRATION = "group_migration"
    LRM_DISARM_RELEASE = "lrm_disarm_release"
    LRM_SHUTDOWN_REQUEST = "lrm_shutdown_request"
    LRM_SHUTDOWN_PLAN = "lrm_shutdown_plan"
    LRM_SHUTDOWN_BLOCKED = "lrm_shutdown_blocked"
    LRM_SHUTDOWN_GAVE_UP = "lrm_shutdown_gave_up"
    LRM_FENCE_REQUESTED = "lrm_fence_requested"
    EXEC = "exec"
    EXEC_BLOCKED_BY_LOCK = "exec_blocked_by_lock"
    EXEC_BLOCKED_BY_MEMORY = "exec_blocked_by_memory"
    EXEC_BALANCE_IGNORED = "exec_balance_ignored"
    EXEC_WRONG_NODE = "exec_wrong_node"
    EXEC_ERROR_STATE = "exec_error_state"
    EXEC_NO_CONFIG = "exec_no_config"
    EXEC_LIVE_FALLBACK = "exec_live_fallback"
    RESTART_POLICY_RETRY = "restart_policy_retry"
    RESTART_POLICY_EXHAUSTED = "restart_policy_exhausted"
    CFS_ERROR = "cfs_error"
    CFS_INCONSISTENT_SKIP = "cfs_inconsistent_skip"
    # the simulator's
    SIM_START = "sim_start"
    SIM_END = "sim_end"
    CMD = "cmd"
    NODE_POWERED_OFF = "node_powered_off"
    DAEMON_ROUND_SKIPPED = "daemon_round_skipped"
    DAEMON_KILLED = "daemon_killed"
    DAEMON_EXIT = "daemon_exit"
    # haven's own
    VM_DOWN = "vm_down"
    VM_UP = "vm_up"
    INCIDENT_CLOSED = "incident_closed"
    VM_INTENTION = "vm_intention"
    VM_EVIDENCE = "vm_evidence"
    VM_NOTE = "vm_note"
    VM_HANG = "vm_hang"
    VM_RESET = "vm_reset"
    VM_CHECK = "vm_check"
    VM_IO_ERROR = "vm_io_error"
    VM_LOCKED = "vm_locked"
    VM_UNLOCKED = "vm_unlocked"
    VM_WOULD = "vm_would"
    MAINTENANCE_BEGUN = "maintenance_begun"
    MAINTENANCE_REMINDER = "maintenance_reminder"
    MAINTENANCE_ENDED = "maintenance_ended"
    DRILL_BEGUN = "drill_begun"
    DRILL_DONE = "drill_done"
    HOST_MEMORY = "host_memory"
    STORAGE_LOW = "storage_low"
    STORAGE_OK = "storage_ok"
    NOTIFICATION = "notification"
    VM_HELD = "vm_held"
    HOLD_ENDED = "hold_ended"
    HYPERVISOR_LOST = "hypervisor_lost"
    HYPERVISOR_BACK = "hypervisor_back"
    STORE_TROUBLE = "store_trouble"
    STORE_BACK = "store_back"
    CONFIG_CHANGED = "config_changed"
    DAEMON_STARTED = "daemon_started"
    DAEMON_ERROR = "daemon_error"
    DAEMON_SILENT = "daemon_silent"
    DAEMON_BACK = "daemon_back"


MEND_DAMAGED = "stop haven, move haven.db away, start haven: it puts its last good copy in place"
"""For people, when single records cannot be read. Not by hand: an old log beside the copy would spoil it, and
only a restored store knows that it is another one than before (SAFETY 8)."""
