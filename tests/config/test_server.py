"""uvicorn's server, as it is here. How it leaves is shown in `proof.test_leaving`."""

from __future__ import annotations

import gc

import uvicorn

from config.server import Server


async def test_what_it_begins_with_is_not_looked_through_for_garbage_again() -> None:
    async def nothing(scope, receive, send) -> None:
        """Nobody asks."""

    config = uvicorn.Config(nothing, host="127.0.0.1", port=0, lifespan="off", log_config=None)
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    frozen = gc.get_freeze_count()
    await server.startup()
    try:
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
        await uvicorn.Server.shutdown(server)
