"""Models that stay warm between runs: started once, asked again and again, gone when nobody asks any more.

``place``
    where their sockets are: folders that this user alone can enter;
``keeper``
    is the process that owns a model's container, answers at its socket, and ends with it;
``client``
    finds a keeper, or starts one (``start``), makes predictions through it, and ends it.

A container never outlives its owner, so a kept model has an owner of its own instead of the command. What is
told to it comes through a pipe and a socket: nothing of it is written to a file or a command line.
"""
