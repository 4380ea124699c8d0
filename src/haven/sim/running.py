"""Running a scenario file, of haven's own format or of the conformance cases, and remembering what happened."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from haven.core.contract import Member
from haven.core.load import Figures, NodeFigures
from haven.core.placement.select import Placement
from haven.core.snapshot import Snapshot
from haven.core.words import NodeState, Pacing
from haven.sim.case import read_case
from haven.sim.cluster import Cluster
from haven.sim.conformance import check_commands, complaining
from haven.sim.errors import CaseError
from haven.sim.files import is_plan
from haven.sim.inputs import DEFAULT_CAPACITY, Inputs
from haven.sim.judge import Story, run_scenario
from haven.sim.pve_world import PveScene, placement_of
from haven.sim.rounds import Run
from haven.sim.scenario.model import Scenario
from haven.sim.scenario.read import is_scenario, read_scenario
from haven.sim.told import Told
from haven.sim.track import Track
from haven.sim.world import Tell
from haven.sim.worlds import WORLDS

_SILENT = (NodeState.UNKNOWN, NodeState.FENCE, NodeState.GONE)


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of a file. `placement`: what the manager would select nodes by at its end."""

    story: Story
    inputs: Inputs
    placement: Placement | None
    pacing: Pacing = Pacing.PVE
    title: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)

    def snapshot(self) -> Snapshot:
        """The cluster as it is at the end of the run, with the figures that it began with."""
        now = self.story.track.now
        members = {name: Member(self._is_there(name), node.version) for name, node in self.inputs.nodes.items()}
        nodes = {name: NodeFigures(node.capacity or DEFAULT_CAPACITY) for name, node in self.inputs.nodes.items()}
        return Snapshot(now.view, members, Figures(nodes, self.inputs.guests), self.titles)

    def _is_there(self, node: str) -> bool:
        """It is on, and the manager has heard of it, if there is one: a host that is cut off helps nobody."""
        now = self.story.track.now
        record = now.view.manager()
        told = record.node_status.get(node) if record else None
        return node in now.powered and told not in _SILENT


def run_file(
    text: str,
    pacing: Pacing | None = None,
    *,
    seed: int = 0,
    tell: Tell | None = None,
    until_s: float | None = None,
) -> Ran:
    """Run what the file says; `tell` hears every event as it comes. `pacing` None: the one that the file asks for,
    or fast (a case: pve). `until_s`: no further than that.

    Raises CaseError.
    """
    track = Track()

    def hear(told: Told) -> None:
        track.told.append(told)
        if tell:
            tell(told)

    if is_plan(text):
        raise CaseError("a plan of the search is for haven sim run alone")
    if is_scenario(text):
        scenario = read_scenario(text)
        with complaining(text):
            return _run_own(scenario, _pacing_of(scenario, pacing), seed, track, hear, until_s)
    if pacing not in (None, Pacing.PVE):
        raise CaseError(f"a conformance case runs in pve pacing only, not in {pacing}")
    with complaining(text):
        return _run_case(text, track, hear, until_s)


def _run_own(
    scenario: Scenario, pacing: Pacing, seed: int, track: Track, tell: Tell, until_s: float | None
) -> Ran:
    world = WORLDS[pacing](scenario.inputs, tell, track.look, seed=seed)
    track.world = world
    track.look(0.0)
    story = run_scenario(scenario, world, track, pacing, until_s)
    return Ran(story, scenario.inputs, world.placement(), pacing, scenario.title, scenario.titles)


def _pacing_of(scenario: Scenario, asked: Pacing | None) -> Pacing:
    """A scenario that does not say is run as haven runs: that is what its reader will live with."""
    pacing = asked or scenario.pacing or Pacing.FAST
    if pacing not in scenario.pacings:
        own = scenario.pacings[0]
        raise CaseError(f"it says pacing: {own}, so it runs with --pacing {own} only, not with {pacing}")
    return pacing


def _run_case(text: str, track: Track, tell: Tell, until_s: float | None) -> Ran:
    inputs = read_case(text)
    check_commands(inputs)
    cluster = Cluster(inputs, tell)
    track.world = PveScene(cluster)
    track.look(0.0)
    Run(cluster, inputs.command_lists, track.look).run(math.inf if until_s is None else until_s)
    return Ran(Story(track, cluster.now_s), inputs, placement_of(cluster))
