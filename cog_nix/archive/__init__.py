"""Archives of inputs: everything that a lock is built from, by its hash, kept where no mirror drops it.

An archive is a folder (:mod:`.folder`), one file (:mod:`.tarball`) or an artifact in a registry
(:mod:`.artifact`). :mod:`.place` says which one a word of the command line means. See docs/design/origins.md.
"""
