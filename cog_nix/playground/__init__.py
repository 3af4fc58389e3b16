"""The playground: a page for talking to a model's HTTP API, and the small server behind it.

The page is plain JavaScript in ``page/``. The server hands it out, passes its requests on to the model
(:mod:`~cog_nix.playground.proxy`: a browser would want CORS headers of the model otherwise), and receives the
webhooks of asynchronous predictions for it (:mod:`~cog_nix.playground.events`). Routes, limits and who may
ask are those of Cog's own playground, so that a page of either works with a server of either.
"""

from cog_nix.playground.server import Playground, Settings

__all__ = ["Playground", "Settings"]
