"""`/haven/verify`: the guide's checklist and more, looked at now."""

from haven.api.routes import Call, Route


def checked(call: Call) -> object:
    """Told also while the store, the history or libvirt is in trouble."""
    from haven.ops.verify.checks import as_data, verify  # a megabyte that few ask for
    from haven.ops.verify.gather import Sources, gather

    state = call.state
    facts = gather(
        Sources(
            state.settings,
            state.node,
            state.view,
            lambda: state.store.damaged,
            state.chronicle.book,
            state.inventory.survey,
            state.wall_s,
        )
    )
    return as_data(facts, verify(facts))


ROUTES = (Route("GET", "/haven/verify", "Sys.Audit", checked),)
