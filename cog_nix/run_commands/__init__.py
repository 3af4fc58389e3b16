"""Commands of ``run:`` and ``pre_install:``: run once, recorded in the lock by hash, enforced ever after."""
