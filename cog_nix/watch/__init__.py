"""Serving a model while it is written: an edit restarts what holds the model, not the container.

``files``
    tells which files of the project have changed, and what that means for a model that runs;
``interface``
    reads the model's interface anew, and says how it differs;
``inside``
    is the container's main process meanwhile: it starts Cog's server, and starts it again when it is told to.

The project's folder lies over ``/src`` of the container, as with `serve` without watching.
"""
