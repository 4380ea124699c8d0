"""What is kept in the store: frozen records, each under one key.

| key                 | record          | written by                                   |
|---------------------|-----------------|----------------------------------------------|
| `config/<sid>`      | ServiceConfig   | people through the API; LRM: intentions; CRM: stop command |
| `service/<sid>`     | ServiceStatus   | the CRM                                      |
| `manager`           | ManagerRecord   | the CRM                                      |
| `lrm/<node>`        | LrmRecord       | that node's LRM                              |
| `journal/<uuid>`    | VmJournal       | the LRM of the VM's node                     |
| `run/<uuid>`        | RunKey          | the LRM that may run the VM (SAFETY 1)       |
| `agent/<node>`      | AgentEpoch      | that node's LRM (SAFETY 2)                   |
| `fence/<node>`      | FenceMark       | the CRM that fences the node (SAFETY 5)      |
| `lock/manager`      | Lock            | the CRM that decides                         |
| `lock/agent/<node>` | Lock            | that node's LRM; a CRM that fences the node  |
| `command/<id>`      | Command         | people through the API; deleted by the CRM   |
| `rule/<id>`         | NodeAffinityRule, ResourceAffinityRule | people through the API    |
| `group/<id>`        | Group           | people; deleted by the CRM's migration (6.8) |
| `options`           | ClusterOptions  | people through the API                       |
| `care/<sid>`        | VmCare          | people through the API: what haven.toml has no place for |
| `vmlock/<sid>`      | VmLock          | people through the API; the LRM when its time is up |
| `maintenance/<id>`  | Maintenance     | people through the API; the LRM when its time is up |
| `drill/<sid>`       | DrillRequest    | the API; deleted by the LRM that killed the VM |
| `settings/<daemon>/<node>` | SettingsInForce | that process at its start |
| `definition/<uuid>` | DefinitionSeen  | that VM's LRM, and the API when it changes one |
| `vm/<uuid>`         | VmIdentity      | the LRM or the API: a VMID for life          |
| `vmid/<number>`     | VmIdentity      | with it: nobody else gets that number        |
"""

from haven.core.records.care import (
    DrillPlan,
    DrillRequest,
    HangTerms,
    HealthCheck,
    Maintenance,
    VmCare,
    VmLock,
)
from haven.core.records.manager import (
    Disarm,
    Hold,
    ManagerRecord,
    PendingCommand,
    ServiceStatus,
)
from haven.core.records.node import (
    BootPhase,
    FreeSpace,
    HangState,
    Instance,
    LrmRecord,
    PendingWork,
    Rehearsal,
    Result,
    VmJournal,
)
from haven.core.records.ownership import (
    AgentEpoch,
    FenceMark,
    Lock,
    RunKey,
    VmIdentity,
)
from haven.core.records.seen import (
    DefinitionSeen,
    SettingsInForce,
)
from haven.core.records.wanted import (
    DEFAULT_MAX_RELOCATE,
    DEFAULT_MAX_RESTART,
    ClusterOptions,
    Command,
    Group,
    NodeAffinityRule,
    Origin,
    ResourceAffinityRule,
    Rule,
    ServiceConfig,
)

Record = (
    ServiceConfig
    | ServiceStatus
    | ManagerRecord
    | LrmRecord
    | VmJournal
    | RunKey
    | AgentEpoch
    | FenceMark
    | Lock
    | Command
    | VmIdentity
    | VmCare
    | VmLock
    | Maintenance
    | DrillRequest
    | SettingsInForce
    | DefinitionSeen
    | NodeAffinityRule
    | ResourceAffinityRule
    | Group
    | ClusterOptions
)

__all__ = [
    "DEFAULT_MAX_RELOCATE",
    "DEFAULT_MAX_RESTART",
    "AgentEpoch",
    "BootPhase",
    "ClusterOptions",
    "Command",
    "DefinitionSeen",
    "Disarm",
    "DrillPlan",
    "DrillRequest",
    "FenceMark",
    "FreeSpace",
    "Group",
    "HangState",
    "HangTerms",
    "HealthCheck",
    "Hold",
    "Instance",
    "Lock",
    "LrmRecord",
    "Maintenance",
    "ManagerRecord",
    "NodeAffinityRule",
    "Origin",
    "PendingCommand",
    "PendingWork",
    "Record",
    "Rehearsal",
    "ResourceAffinityRule",
    "Result",
    "Rule",
    "RunKey",
    "ServiceConfig",
    "ServiceStatus",
    "SettingsInForce",
    "VmCare",
    "VmIdentity",
    "VmJournal",
    "VmLock",
]
