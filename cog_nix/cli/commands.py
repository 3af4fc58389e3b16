"""All commands: what each says of itself, and where it is.

Showing what there is needs no more than this table. A command's module is imported when the command is
called, so it imports at its top what it needs.

A command is a function of the session and, where it has options, of a frozen dataclass of them::

    @dataclass(frozen=True, kw_only=True)
    class Options(ProjectOptions):
        compact: Annotated[bool, typer.Option("--compact", help="Print it byte for byte.")] = False

    def config(session: Session, options: Options) -> None: ...
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from cog_nix.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Function = Callable[..., None]


@dataclass(frozen=True)
class Command:
    """A command that is imported when it is called."""

    target: str
    """``module:function``, below :mod:`cog_nix.cli`."""
    help: str
    hidden: bool = False
    context: dict[str, Any] = field(default_factory=dict)
    """Settings of its context (click)."""

    def callback(self) -> Function:
        """Import the command; return the function that typer calls."""
        module, _, name = self.target.partition(":")
        return with_options(getattr(importlib.import_module(f"cog_nix.cli.{module}"), name))

    def load(self, name: str) -> Any:
        """Import the command; return it for click, under a name."""
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        self._add(app, name)(self.callback())
        return typer.main.get_command(app)

    def register(self, app: typer.Typer, name: str) -> None:
        """Add the command to a command line as one that is not imported yet."""
        self._add(app, name, cls=_NotImported)(lambda: None)

    def _add(self, app: typer.Typer, name: str, **more: Any) -> Any:
        return app.command(name, help=self.help, hidden=self.hidden, context_settings=self.context, **more)


class _NotImported(TyperCommand):
    """Stands for a command in lists."""


class CommandGroup(TyperGroup):
    """The command line: imports a command once it is called, or asked for its own help."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that a command line names."""
        name, command, rest = super().resolve_command(ctx, args)
        if name and isinstance(command, _NotImported):
            command = COMMANDS[name].load(name)
            command.help = named(ctx.info_name, command.help)
        return name, command, rest


def named(program: str, text: str) -> str:
    """Return a help text whose examples call the program as the user did."""
    return text.replace("  cog-nix ", f"  {program} ")


def completion_variable(program: str) -> str:
    """Return the environment variable through which a shell asks a program for completions."""
    return f"_{program.replace('-', '_').upper()}_COMPLETE"


def with_options(function: Function) -> Function:
    """Return a command as typer takes it: with a parameter for each field of its options."""

    def command(ctx: typer.Context, **given: Any) -> None:
        session = ctx.find_object(Session)
        function(session, options(**given)) if options else function(session)

    options = get_type_hints(function, localns={"Session": Session}).get("options")
    hints = get_type_hints(options, include_extras=True) if options else {}
    taken = [
        inspect.Parameter(
            one.name, inspect.Parameter.KEYWORD_ONLY, default=_default(one), annotation=hints[one.name]
        )
        for one in (_own_first(options) if options else ())
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    command.__signature__ = inspect.Signature([context, *taken])  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in (context, *taken)}
    return command


def _default(one: dataclasses.Field[Any]) -> Any:
    return inspect.Parameter.empty if one.default is dataclasses.MISSING else one.default


def _own_first(options: type) -> Iterator[dataclasses.Field[Any]]:
    """Yield the fields of a dataclass, those of its bases last: that is their order in its help."""
    fields = {one.name: one for one in dataclasses.fields(options)}
    for base in options.__mro__:
        yield from (fields.pop(name) for name in vars(base).get("__annotations__", ()) if name in fields)


COMMANDS: Mapping[str, Command] = {
    "init": Command(
        "init:init",
        """Make a cog.yaml, a run.py and what belongs to them here. Existing files are left alone.

\b
  mkdir my-model && cd my-model
  cog-nix init
  cog-nix run -i text=world
""",
    ),
    "build": Command(
        "build:build",
        """Build an image from cog.yaml and load it into Docker, or into another --runtime.

\b
  cog-nix build                      named cog-<folder>, or as cog.yaml says
  cog-nix build -t my-model:v2
  cog-nix build -f gpu.yaml          another configuration
  cog-nix build --update-lock        after a change of what is asked for
  cog-nix build --no-load            no runtime is needed; ./result | docker load, elsewhere
  cog-nix build --from ../model.tar  what the lock names comes from an archive
""",
    ),
    "lock": Command("lock:lock", "Resolve everything the image is made from and write cog-nix.lock."),
    "diff": Command(
        "diff:diff",
        """Tell what changed between two locks, two images, or a lock and an image.

\b
  cog-nix diff                          cog-nix.lock here, since the last commit
  cog-nix diff v1.2:cog-nix.lock cog-nix.lock
  cog-nix diff my-model:v1 my-model:v2  images that Docker, or another --runtime, holds
  cog-nix diff registry.example.org/model:v1 image.tar
  cog-nix diff cog-nix.lock my-model:v1

Packages with versions and sizes, who asked for them, security holes that newer packages close, layers
that are shared, and the bytes to fetch.
""",
    ),
    "explain": Command(
        "explain:explain",
        """Tell what an image consists of: by layer, by package, by who asked for it.

\b
  cog-nix explain                              what the project here builds
  cog-nix explain --tree                       what came because of what
  cog-nix explain --html image.html            a page with a map, to search in
  cog-nix explain my-model:v2                  an image that Docker, or another --runtime, holds
  cog-nix explain registry.example.org/model --with my-model:v2

Sizes on disk, as stored (in a tar) and as pulled (compressed). Any image of Debian and Python can be
explained, whoever built it.
""",
    ),
    "run": Command(
        "predict:run",
        """Run the model: build it, or take the named image, and make one prediction.

\b
  cog-nix run -i prompt="a photo of a cat"
  cog-nix run -i image=@photo.jpg -o output.png   a file in, a file out
  cog-nix run -i n=1 -i tags=a -i tags=b          a name given twice makes a list
  cog-nix run registry.example.org/model -i n=1   an image that exists
  echo '{"n": 1}' | cog-nix run --json @-         inputs and answer as JSON
  cog-nix run --keep -i prompt=again              leave the model warm for the next runs
""",
    ),
    "predict": Command("predict:predict", "The same as run (deprecated, use run)."),
    "stop": Command(
        "stop:stop",
        """End models that `run --keep` left warm: this folder's, an image's, or all of them.

\b
  cog-nix stop          of the project here
  cog-nix stop IMAGE    of an image that exists
  cog-nix stop --all    every one of yours
""",
    ),
    "serve": Command(
        "serve:serve",
        """Build the model and serve it over HTTP until Ctrl-C.

The project's folder is mounted at /src. The port is published on this machine only, unless --host says
otherwise.

\b
  cog-nix serve                 on http://localhost:8393
  cog-nix serve -p 5000
  cog-nix serve --host 0.0.0.0  also for other machines
  curl http://localhost:8393/predictions -H 'Content-Type: application/json' -d '{"input": {"text": "a"}}'
""",
    ),
    "exec": Command(
        "exec:execute",
        """Run a command in the environment that cog.yaml describes.

The project's folder is mounted at /src. stdin is passed on; on a terminal the command has a terminal as well.

\b
  cog-nix exec python                      a Python of the model's environment
  cog-nix exec python train.py --epochs 3  what follows the command is its own
  cog-nix exec -e HF_TOKEN -p 8888 jupyter notebook --ip 0.0.0.0
  cog-nix exec cat < in.txt > out.txt
""",
        context={"allow_interspersed_args": False},
    ),
    "train": Command("predict:train", "Run a training (deprecated).", hidden=True),
    "archive": Command(
        "archive:archive",
        """Keep everything that the lock is built from: the files, the builders, what commands left.

Mirrors drop what is superseded. `cog-nix build --from` needs none of them.

\b
  cog-nix archive ~/archive                           a folder, which projects may share
  cog-nix archive ../model.tar                        one file
  cog-nix archive oci:registry.example.org/model:v2   beside the image, in its registry
""",
    ),
    "push": Command("push:push", "Build the model and push it to a registry, without a Docker daemon."),
    "cache": Command(
        "cache:cache",
        """Share what is built: binary caches, with Nix's own machinery.

\b
  cog-nix cache key ci-1 ~/keys/ci-1     make a key that signs; prints the public half
  cog-nix cache push s3://my-cache       build, and bring the layers there: file://, ssh-ng://, http too
  cog-nix cache trust                    let the caches, keys and builders of cog-nix.toml count for you
  cog-nix cache pull                     take this project's layers from there
  cog-nix cache serve /srv/cache         serve a folder that was pushed to, over HTTP

A build takes from the caches that [nix] of cog-nix.toml or COG_NIX_SUBSTITUTERS names.
""",
    ),
    "sbom": Command(
        "sbom:sbom",
        """Print a bill of materials: what is in the image, with versions, hashes, licences and reasons.

\b
  cog-nix sbom > ../sbom.spdx.json                       SPDX 2.3
  cog-nix sbom --format cyclonedx -o ../sbom.cdx.json    CycloneDX 1.6

The image is built first, as for `cog-nix build`; nothing is loaded anywhere.
""",
    ),
    "login": Command("login:login", "Log in to a container registry."),
    "load": Command(
        "load:load", "Load an image into Docker, or another --runtime, from ./result or an archive."
    ),
    "check": Command(
        "check:check",
        """Check that an image keeps the promises of Cog's images, or whether it can take another one's place.

\b
  cog-nix check my-model -i text=Ada             some sixty promises, and the checks of cog-nix.toml
  cog-nix check my-model --case predict          one of them
  cog-nix check my-model --against my-model:v1   may a client of v1 use this one?
  cog-nix check --against registry.example.org/model:live --junit report.xml

With --against interfaces are compared, then both images are asked what cog-nix.toml declares, and inputs
that are drawn by chance. Exits with 1 when something breaks.
""",
    ),
    "verify": Command(
        "verify:verify_image",
        """Rebuild an image from its lock in a fresh store, and compare the two bit for bit.

\b
  cog-nix verify                             what the project here builds
  cog-nix verify my-model:v2                 an image that Docker, or another --runtime, holds
  cog-nix verify registry.example.org/model  one in a registry
  cog-nix verify image.tar                   an archive or layout
  cog-nix verify registry.example.org/model --source https://git.example.org/model
  cog-nix verify --vary                      other Nix, user, time zone, locale, umask, processors, file order

Shows the first layer, file and bytes that differ. Exits with 0 when all is the same, with 3 when it differs,
with 4 when it cannot be compared.
""",
    ),
    "schema": Command("schema:schema", "Print the OpenAPI document that the image will have."),
    "config": Command("config:config", "Print cog.yaml as the image will have it: checked and completed."),
    "doctor": Command(
        "doctor:doctor",
        """Check this machine and the project here.

Looks at Nix and its sandbox, Docker and its GPUs, disks, mirrors and the index of Python packages; at
cog.yaml, the predictor, Python files and the lock.

\b
  cog-nix doctor         look, change nothing
  cog-nix doctor --fix   change what is safe to change
  cog-nix doctor --json  for programs
""",
    ),
    "container-image": Command(
        "container_image:container_image",
        """Make an image of cog-nix itself, with its Nix, and load it into Docker, or into another --runtime.

\b
  cog-nix container-image                    named cog-nix
  cog-nix container-image -o cog-nix.tar     for another machine: docker load -i cog-nix.tar

Nothing is run to make it, so this works in any container.
""",
    ),
    "flake": Command(
        "flake:flake",
        """Give the project here a flake.nix of its own: its image as a package of Nix, and for `nix run`.

\b
  cog-nix flake init
  cog-nix flake init --input git+https://git.example.org/cog-nix
  nix build && ./result | docker load
""",
    ),
    "shim": Command(
        "shim:shim",
        """Put a program named cog on the PATH that is cog-nix.

What cog-nix does not do goes to Replicate's cog, where there is one.

\b
  cog-nix shim install            ~/.local/bin/cog
  cog-nix shim install --dir bin  ./bin/cog
  cog-nix shim status             what `cog` runs now
  cog-nix shim remove
""",
    ),
    "completion": Command(
        "completion:completion",
        """Print a script that makes a shell complete commands and options.

\b
  cog-nix completion bash > ~/.local/share/bash-completion/completions/cog-nix
  cog-nix completion zsh > ~/.zfunc/_cog-nix   with ~/.zfunc in fpath, before compinit
  cog-nix completion fish > ~/.config/fish/completions/cog-nix.fish
""",
    ),
    "weights": Command(
        "weights:weights",
        """Manage the files of `weights:` in cog.yaml: import, pull, status.

\b
  cog-nix weights import             from their sources into weights.lock and the model's registry
  cog-nix weights import --dry-run   what that would do
  cog-nix weights pull               from the registry to this machine, for run, serve and exec
  cog-nix weights status             does the registry have them? exits with 1 unless it has
""",
    ),
    "playground": Command(
        "playground:playground",
        """Open a page in the browser for talking to a running model.

The page shows the inputs and outputs of any Cog HTTP API. Requests go through this program, so that the model
needs no CORS headers, and webhooks of asynchronous predictions come back through it.

\b
  cog-nix serve -p 8393          in one terminal
  cog-nix playground             in another
  cog-nix serve --playground     both at once
  cog-nix playground --target http://gpu-machine:5000 --no-open
""",
    ),
}
"""By name, in the order in which they are listed."""
