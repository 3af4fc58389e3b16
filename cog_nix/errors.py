"""The one tree of errors that users see.

::

    CogNixError                anything the user can mend; the CLI prints it and exits with ``exit_code``
    ├── ConfigError            cog.yaml, cog-nix.toml or a file they name is wrong
    │   ├── FlagError              a flag's value is wrong: flag, value, problem
    │   ├── OldSdkError            a release of the SDK is too old: it, the oldest that works (config)
    │   ├── DocumentError          a file is no OpenAPI document: what failed, path, reason (signature)
    │   ├── UnreadableFileError    a file of the project or of the configuration: path, reason
    │   ├── PatternsError          an ignore file has patterns that are not valid: file, lines (project)
    │   ├── FlakeExistsError       a project has a flake of its own already: path (project)
    │   ├── NotInGitError          Git has no such file at a revision: name, what it said (cli)
    │   ├── SecretError            a value for commands cannot be had: its id, problem (run_commands)
    │   ├── KeyFileError           a file is no key that signs: path, problem (system)
    │   ├── NotACacheError         a URL or folder is no binary cache: it, problem (store)
    │   ├── NoProfileError         credentials of a bucket are not there: profile, file
    │   ├── NotServedError         a cache cannot be served: host, port, reason
    │   ├── CredentialsError       what Docker's tools keep of logins is wrong: path, problem (registry)
    │   ├── ChangedFileError       a file by reference is another one: expected and found sha256
    │   ├── LeftOutError           a file by reference is ignored by the project: path (build)
    │   ├── TakenPlaceError        a file of weights and one of the project have one place (build)
    │   ├── SourceError            a source of a weight cannot be imported: URI, reason (managed)
    │   ├── NoFilesError           patterns leave no file of a source: weight, patterns
    │   ├── NoWeightsError         a project has no managed weights: its cog.yaml (cli)
    │   ├── UnknownWeightError     no such weight: its name, those that there are (cli)
    │   ├── UnreadyWeightsError    the registry lacks weights: their names (cli)
    │   └── VariableError          a variable that says where to push to: name, value, problem (registry)
    ├── SignatureError         the predictor's source says something Cog does not support
    │   └── RefusedSourceError     a place of the source: path, line, reason (signature)
    ├── LockError              resolving failed, or the lock does not fit the project
    │   ├── NoLockError            the project has no lock: the lock's name
    │   ├── NotLockedError         the lock does not have a package: its name (lock)
    │   ├── NotALockError          a file is damaged, or of another format: file, problem
    │   ├── NoPlatformError        the lock has nothing for a platform: file, platform, those there (lock)
    │   ├── NoSeedError            offline, and the lock has no builders for this machine: file, platform
    │   ├── StaleLockError         the project asks for something else than what is locked
    │   ├── NoZstandardError       the lock's builders cannot compress so: what is asked for (build)
    │   ├── ResultsNotHereError    what commands left cannot be archived: the commands (build)
    │   ├── InvalidLockError       the lock says what no lock may: file, all problems (lock)
    │   └── EditedLockError        the lock was changed by hand: what does not fit (lock)
    ├── OtherContentError      what was to be stored is another file: digest, size (weights)
    ├── UnwritableError        a file cannot be written: path, errno (system)
    ├── ProcessError           a program failed: its command, status and output (system)
    │   └── NotStartedError        it could not be started: reason, folder
    ├── FetchError             a download failed or its hash is wrong
    │   ├── StatusError            a server refuses: URL and status (fetch)
    │   ├── UnreachableError       a server does not answer: URL, reason, attempts, proxy
    │   ├── UntrustedError         the certificate of a server is not trusted: URL
    │   ├── UnusableUrlError       a URL that cannot be asked for, or leads nowhere
    │   ├── WrongFileError         what came is another file: artifact, hash and size
    │   ├── NotFetchedError        a file is not here and nothing may be fetched: path, URL (managed)
    │   ├── CacheError             the cache cannot be written: folder, errno
    │   ├── NotHereError           a file is not here, and must not be fetched: artifact
    │   ├── NowhereError           no place has a file: all that was tried, by file
    │   └── UnusableArchiveError   an archive of inputs cannot be read or written: title, reason (archive)
    ├── NixError               Nix is missing, cannot run, or a derivation failed
    │   ├── NixFailedError         Nix's own message, the builder's log and name (store)
    │   ├── UnexpectedAnswerError  Nix answers something that cannot be used: reason
    │   ├── NoEmulatorError        programs of a platform do not run here: platform, reason (namespaces)
    │   ├── UnknownStoreError      this Nix cannot open a store: its URL
    │   ├── NotObtainedError       caches did not bring what was asked for: store paths
    │   ├── ChangedDownloadError   a file of the cache is not what it was: its name
    │   └── CommandFailedError     a command of ``run:`` failed: place, status, output (run_commands)
    ├── ImageError             an image cannot be assembled or read
    │   ├── UnreadableImageError   a built image does not say what it is: path, reason (image)
    │   ├── UnreadableLayerError   a layer of a built image is damaged: its name, reason (bom)
    │   ├── NotAnArchiveError      a file holds no image: path, reason
    │   ├── BrokenLayerError       a layer is no tar, or cannot be decompressed: reason
    │   ├── LayersUnpackedError    an image's layers cannot be read one by one: its title (explain)
    │   ├── NoSuchImageError       a name stands for no image: name, where it was looked for (compare)
    │   ├── NotAnImageError        a configuration is not one of an image: the image's title, reason
    │   ├── NotKeptError           an image's layers cannot be read where it is: its title
    │   ├── NotRebuiltError        a build by the lock failed: how it was built, what it said
    │   ├── ImageNotHeldError      a runtime does not have an image: runtime, reference
    │   ├── ImageNotPulledError    a runtime cannot fetch an image: reference, reason
    │   ├── FileChangedError       a file of the project is not what the image has: path, when
    │   ├── DamagedFileError       the store of weights has another file than it should: the file
    │   └── FilesGoneError         files of the project that an image has are nowhere: root, paths
    ├── RegistryError          a container registry refuses, or cannot be reached; with its HTTP status
    │   ├── RefusedError           a request failed: method, what was asked for, status (registry)
    │   ├── LoginError             credentials are missing or not enough
    │   ├── RegistryUnreachableError  it does not answer: reason, attempts
    │   ├── UntrustedRegistryError its certificate is not trusted
    │   ├── UnusableAnswerError    it answers something that cannot be used
    │   ├── MissingBlobsError      it lacks layers that it was said to hold: digests
    │   ├── NoCosignError          images are to be signed or checked without cosign: the purpose
    │   ├── CosignFailedError      cosign refuses: the image, what it says
    │   ├── NotSignedError         nobody signed an image who should have: the image, by whom
    │   ├── NotPulledError         a reference stands for no image that can be had
    │   └── NotInRegistryError     a weight cannot be pulled: weight, repository, reason (managed)
    ├── NotAShimError          a program is in a shim's way: its path (system)
    ├── MigrationError         a project is to be moved to newer names by hand: obstacle, detail (doctor)
    ├── ListenError            the playground cannot listen: address, port, reason (playground)
    ├── UnknownCommandError    there is no such command: it, those that may be meant (cli)
    ├── PluginError            a plugin broke
    │   └── NobodyAnsweredError    no plugin does what is asked for: the task (plugins)
    └── RuntimeFailure         a container did not start, or the model failed
        ├── CdiError               a device specification is wrong or lacks something (cdi)
        │   ├── SpecificationError     a file is not a specification: path, all problems
        │   ├── UnknownDeviceError     a device or GPU is not here: names, those that are
        │   ├── AmbiguousDeviceError   two files describe a device: its name, paths
        │   ├── TooFewGpusError        numbers: asked for, here
        │   ├── DeviceFileError        a device's file is missing or something else: path, reason
        │   └── UnknownHookError       a hook cannot be run here: name, what it runs
        ├── MissingDeviceDriverError   there is no driver for GPUs that are asked for
        │   └── MissingFilesError      specifications name files that are not here
        ├── ContainerStartError    a container was not started: what was said (runtime)
        │   ├── HookFailedError        a hook of the runtime failed
        │   ├── NoProgramError         the image has no such program: its name
        │   └── PortInUseError         a port to be published is taken
        ├── MissingWeightsError    files of weights are not here: which (weights)
        ├── StillRunningError      a container did not end: seconds
        ├── NotSignalledError      a signal did not reach a container: its name, reason
        ├── ContainerGoneError     somebody else has removed a container: what its runtime says
        ├── NotInteractiveError    streams are to be connected to a container that has none
        ├── ContainerExitedError   the container ended early: status and log (runtime)
        ├── SetupFailedError       the model's ``setup()`` failed: its log
        ├── WorkerError            the container that Nix runs in: what it does instead (container)
        ├── NotReadyError          the model took too long: seconds
        ├── InvalidInputsError     inputs do not fit the model's schema: all problems
        ├── UnreadableInputError   one input, or all as JSON, cannot be read: its name, problem
        ├── UnusableSchemaError    the model's OpenAPI document lacks what is needed: problem
        ├── KeptModelError         a model that is kept warm does not start, or fails: what was said (keep)
        ├── KeeperLostError        the process that keeps it has ended
        ├── NotEndedError          kept models do not end: their names, processes
        ├── UnsafePlaceError       others could reach the sockets of kept models: path, problem
        ├── NotTextError           the model promises a text and answers something else (runtime)
        ├── OutputError            an output cannot be written: problem, its number in a list
        └── PredictionError        the model answered, with a failure
            ├── NotPredictedError      its server refuses, or fails: HTTP status, what it says (runtime)
            └── FailedPredictionError  its prediction failed: its status, error and logs (runtime)

Subclasses hold what happened: their ``__str__`` writes the sentence, and what helps is their ``hint``. They
stand where they are raised, in the folder that is named, or here where several folders raise them. Anything
else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations


class CogNixError(Exception):
    """Base of every error that is the user's to mend.

    Args:
        message: what went wrong, and where (one or more lines, no trailing newline).
        hint: what to do next. Empty when the message says it already.
    """

    exit_code: int = 1

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def message(self) -> str:
        """The sentence, and the notes that it got on its way (:meth:`BaseException.add_note`)."""
        return "\n".join([str(self), *getattr(self, "__notes__", ())])

    def shown(self) -> str:
        """Return all that a user reads: the message, then the hint."""
        return f"{self.message}\n\n{self.hint}" if self.hint else self.message


class ConfigError(CogNixError):
    """cog.yaml, cog-nix.toml or a file that they name is wrong."""


class FlagError(ConfigError):
    """A flag of the command line, or of a ``run:`` command, has a value that cannot be used.

    Args:
        flag: as it is typed: ``--secret``.
        problem: what is wrong with it.
        value: as it was given; empty: the flag itself is the problem.
        hint: what to do next.
    """

    def __init__(self, flag: str, problem: str, value: str = "", *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.flag, self.problem, self.value = flag, problem, value

    def __str__(self) -> str:
        return f"{self.flag}{self.value and ' '}{self.value}: {self.problem}"


class UnreadableFileError(ConfigError):
    """A file cannot be read.

    Args:
        name: its path, as messages show it.
        error: what reading it raised.
        hint: what to do next.
    """

    def __init__(self, name: object, error: Exception, *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.name = str(name)
        self.reason = (error.strerror if isinstance(error, OSError) else None) or str(error)

    def __str__(self) -> str:
        return f"{self.name}: cannot be read: {self.reason}"


class SignatureError(CogNixError):
    """The predictor's source says something that Cog does not support."""


class LockError(CogNixError):
    """Resolving failed, or the lock file cannot be read."""


class StaleLockError(LockError):
    """The project asks for something else than what is locked."""


class NoLockError(LockError):
    """The project has not been locked.

    Args:
        name: of the lock's file.
    """

    def __init__(self, name: str) -> None:
        super().__init__(hint="Make it with:  cog-nix lock")
        self.name = name

    def __str__(self) -> str:
        return f"There is no {self.name} yet."


class NotLockedError(LockError):
    """A package is asked for that the lock does not have."""

    def __init__(self, name: str, *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.name = name

    def __str__(self) -> str:
        return f"{self.name} is not in the lock."


class FetchError(CogNixError):
    """A download failed, or what came has another hash than the lock says."""


class NixError(CogNixError):
    """Nix is missing, cannot run here, or a derivation failed."""


class ImageError(CogNixError):
    """An image cannot be assembled, read or loaded."""


class RegistryError(CogNixError):
    """A container registry refuses, or cannot be reached.

    Args:
        message: what was asked for, and what the registry answered.
        hint: what to do next.
        status: of its answer (HTTP); 0: none came.
    """

    def __init__(self, message: str = "", *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class PluginError(CogNixError):
    """A plugin broke, or no plugin answered a hook."""


class RuntimeFailure(CogNixError):  # noqa: N818 - RuntimeError is Python's
    """A container did not start or stopped early."""


class PredictionError(RuntimeFailure):
    """The model ran and answered with a failure."""
