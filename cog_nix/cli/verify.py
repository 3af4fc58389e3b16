"""``cog-nix verify``: is an image what its lock and source make, bit for bit?

stdout gets the result, in lines or as JSON. Exit status: 0 the same, 3 other, 4 it could not be compared.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build.options import BuildOptions
from cog_nix.cli.building import build_image
from cog_nix.cli.comparing import DIFFERS, NOT_COMPARED, told
from cog_nix.cli.options import PlatformName, ProjectOptions, annotation
from cog_nix.cli.platforms import parsed, project_here
from cog_nix.compare import find, subject
from cog_nix.compare.rebuild import Order
from cog_nix.compare.source import FLAG, REVISION, Source, checked_out
from cog_nix.compare.statement import statement
from cog_nix.compare.surroundings import Surroundings, checked, everything, version
from cog_nix.compare.verification import Verification, assumed_labels, verify
from cog_nix.errors import CogNixError, ConfigError, FlagError, NoLockError
from cog_nix.image.description import with_tag
from cog_nix.lock import format as lock_format
from cog_nix.plugins import bring
from cog_nix.project import git
from cog_nix.project.find import CONFIG_FILE, find_project
from cog_nix.registry import cosign
from cog_nix.registry.reference import Reference
from cog_nix.store import choice
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cog_nix.cli.session import Session
    from cog_nix.compare.subject import Subject
    from cog_nix.config.model import Project

_VERSION = "org.opencontainers.image.version"
_OCTAL, _ALL = 8, 0o777


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    image: Annotated[
        str | None,
        typer.Argument(
            help="An image: of the runtime, a file or layout, or REGISTRY/IMAGE:TAG. "
            "[default: what the project here builds]",
        ),
    ] = None
    platform: PlatformName = None
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="REPOSITORY",
            help="Rebuild from a Git repository, URL#COMMIT:FOLDER. [default: the project here, else what "
            "the image's labels name, which also tell the commit]",
        ),
    ] = None
    archive: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ARCHIVE",
            help="Rebuild from an archive, as `cog-nix build` does; results of commands come from it, too.",
        ),
    ] = None
    vary: Annotated[
        bool,
        typer.Option(
            "--vary",
            help="Build with each Nix that is here, and as another user, in another time zone and locale, "
            "with another umask, number of processors and order of files, as far as this machine can.",
        ),
    ] = False
    nix: Annotated[
        list[Path] | None,
        typer.Option("--nix", help="Build with the Nix in this folder of programs. May be repeated."),
    ] = None
    user: Annotated[
        int | None,
        typer.Option("--user", min=1, help="Build as the user with this number, not as root."),
    ] = None
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", help="Build in this one: Pacific/Chatham.")
    ] = None
    locale: Annotated[str | None, typer.Option("--locale", help="Build in this one: tr_TR.UTF-8.")] = None
    umask: Annotated[str | None, typer.Option("--umask", help="Build with this one: 077.")] = None
    cpus: Annotated[
        int | None,
        typer.Option("--cpus", min=1, help="Build on this many processors."),
    ] = None
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Build from a folder that lists its files in another order.")
    ] = False
    annotation: Annotated[
        list[str] | None,
        typer.Option("--annotation", help="A label that the image must have, name=value. May be repeated."),
    ] = None
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", help="A secret for commands that mount it, as `cog-nix build` takes it."),
    ] = None
    openapi_schema: Annotated[
        Path | None,
        typer.Option("--openapi-schema", help="The OpenAPI document that the image was built with."),
    ] = None
    statement: Annotated[
        Path | None,
        typer.Option("--statement", help="Write what was found as an in-toto Statement there."),
    ] = None
    key: Annotated[
        str | None,
        typer.Option("--key", help="First check that this public key's owner signed it."),
    ] = None
    identity: Annotated[
        str | None,
        typer.Option("--identity", help="First check that this identity signed it, without a key."),
    ] = None
    identity_regexp: Annotated[
        str | None,
        typer.Option(
            "--identity-regexp",
            help="The same, by a pattern of the whole identity: https://github.com/you/model/.*@refs/tags/.*",
        ),
    ] = None
    issuer: Annotated[
        str | None,
        typer.Option("--issuer", help="Who vouches for the identity: a provider's URL."),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False

    @property
    def signer(self) -> cosign.Identity | None:
        """Who has to have signed the image; None: nobody.

        Raises:
            FlagError: only half of an identity is named, or more than one.
        """
        named = [one for one in (self.key, self.identity, self.identity_regexp) if one]
        if not named and self.issuer is None:
            return None
        if len(named) != 1 or bool(self.key) == bool(self.issuer):
            raise FlagError(
                "--identity",
                "who signed is said by --identity or --identity-regexp with --issuer, or by --key alone.",
                hint="Give one of these.",
            )
        return cosign.Identity(
            self.key or "", self.identity or "", self.identity_regexp or "", self.issuer or ""
        )

    def surroundings(self) -> Surroundings:
        """Return what one build is to have otherwise."""
        return checked(
            Surroundings(
                user=self.user,
                time_zone=self.time_zone,
                locale=self.locale,
                umask=_umask(self.umask),
                processors=self.cpus,
                shuffled=self.shuffle,
            )
        )

    def further(self) -> tuple[str, ...]:
        """Return the arguments of each build."""
        given = [("--secret", one) for one in map(_absolute_secret, self.secret or ())]
        given += [("--openapi-schema", str(self.openapi_schema.absolute()))] if self.openapi_schema else []
        return tuple(word for pair in given for word in pair)


@dataclass(frozen=True)
class _Target:
    """What is held against what."""

    image: Subject
    project: Project
    """Locked."""
    source: Source | None
    """The commit that its files are of; None: they have changes, or are of none."""

    @property
    def labels(self) -> dict[str, str]:
        """Those that the source tells; a version is a name of it, which each clone may have another of."""
        if self.source and self.source.repository:
            return {REVISION: self.source.commit} if REVISION in self.image.labels else {}
        return {name: value for name, value in git.labels(self.project.root).items() if name != _VERSION}


def verify_image(session: Session, options: _Options) -> None:
    """Rebuild an image in a store of its own, and compare."""
    try:
        how = _builds(session, options)
        with _target(session, options) as target:
            found = _verify(session, options, target, how)
            document = statement(found, target.project, target.source)
        if options.statement:
            write_atomically(options.statement.absolute(), f"{json.dumps(document, indent=2)}\n".encode())
    except CogNixError as error:
        error.exit_code = NOT_COMPARED
        raise
    if options.as_json:
        typer.echo(json.dumps(found.plain(), indent=2, ensure_ascii=False))
    else:
        for line in _lines(found):
            typer.echo(line)
    if not found.same:
        raise typer.Exit(DIFFERS)


@contextmanager
def _target(session: Session, options: _Options) -> Iterator[_Target]:
    """Yield the image, and the project that it should come from: here, or in a clone."""
    if options.image is None:
        if options.signer:
            flag = "--key" if options.key else "--identity"
            raise FlagError(flag, "there is no image in a registry to check.", hint="Name one.")
        if options.source:
            raise FlagError(FLAG, "there is no image to compare with.", hint="Name one.")
        project = _locked(project_here(options.config_file, options.platform))
        labels = dict(map(annotation, options.annotation or ()))
        asked = BuildOptions(
            platform=project.platform.name, labels=labels, openapi=options.openapi_schema, result_link=False
        )
        built = build_image(session, options.config_file, asked)
        title = f"{with_tag(built.tag)} of {project.root.name}"
        yield _Target(subject.of_built(built.image, title), project, _commit_here(project))
        return
    platform = parsed(options.platform) if options.platform else None
    with find.opened(options.image, session.find_runtime, session.reporter, platform) as image:
        _check_signature(session, options, image)
        source = _named(options, image)
        if source is None:
            project = _locked(_on_platform(project_here(options.config_file), image, options))
            yield _Target(image, project, _commit_here(project))
            return
        session.reporter.step(f"Fetching {source.shown} at {source.commit}")
        with checked_out(source) as folder:
            project = _on_platform(_project_in(folder, options.config_file), image, options)
            yield _Target(image, _locked(project), source)


def _check_signature(session: Session, options: _Options, image: Subject) -> None:
    """Check who signed an image, where that is asked for.

    Raises:
        FlagError: it is in no registry, or what is named is nobody.
        NotSignedError: nobody that should have.
    """
    if (by := options.signer) is None:
        return
    if not image.manifests or not image.compressed:
        raise FlagError(
            "--key" if options.key else "--identity",
            "the image is in no registry.",
            hint="Name it as REGISTRY/IMAGE:TAG.",
        )
    reference = Reference.parse((options.image or "").removeprefix("docker://"))
    cosign.check(f"{reference.name}@{image.manifests[0]}", reference, by)
    session.reporter.info(f"{reference} is signed by {by}")


def _named(options: _Options, image: Subject) -> Source | None:
    """Return where the source of an image is that the user, or the image itself, names; None: it is here."""
    if options.source:
        return Source.parse(options.source).at(image.labels)
    try:
        find_project(Path.cwd(), options.config_file)
    except ConfigError as error:
        if (found := Source.of(image.labels)) is None:
            error.hint = f"Change to the project's folder, or name its repository:  {FLAG} URL"
            raise
        return found
    return None


def _project_in(folder: Path, config_file: str) -> Project:
    """Return the project of a folder, and of none above."""
    project = find_project(folder, config_file)
    if project.root != folder:
        raise FlagError(
            FLAG, f"it has no {config_file or CONFIG_FILE}.", hint="Name its folder: URL#COMMIT:FOLDER"
        )
    return project


def _on_platform(project: Project, image: Subject, options: _Options) -> Project:
    """Return a project for the platform that is named, or else for the image's."""
    platform = parsed(options.platform) if options.platform else image.platform
    return replace(project, platform=platform or project.platform)


def _commit_here(project: Project) -> Source | None:
    """Return the commit that a project's folder is at; None: it has changes, or no commit."""
    return Source("", git.commit(project.root)) if git.is_clean(project.root) else None


def _locked(project: Project) -> Project:
    """Return a project that has a lock."""
    if not project.lock_path.exists():
        raise NoLockError(project.lock_path.name)
    return project


def _verify(
    session: Session, options: _Options, target: _Target, how: tuple[list[Surroundings], list[str]]
) -> Verification:
    image, project, (builds, lacking) = target.image, target.project, how
    lock = lock_format.read(project.lock_path, project.platform)
    if lock is None:
        raise NoLockError(project.lock_path.name)
    known = {**target.labels, **dict(map(annotation, options.annotation or ()))}
    assumed = assumed_labels(image, {**known, **dict(lock.labels)})
    for name, value in assumed.items():
        session.reporter.info(f"Label {name} is taken from the image: {value}")
    order = Order(
        project,
        options.further(),
        {**assumed, **known},
        archive=_absolute(options.archive or ""),
        blobs=bool(image.manifests),
        packing=image.packing,
    )
    attempts = verify(image, order, builds, session.reporter)
    return Verification(image, attempts, assumed, tuple(lacking))


def _builds(session: Session, options: _Options) -> tuple[list[Surroundings], list[str]]:
    """Return how to build, each time; and what this machine cannot have otherwise."""
    asked = options.surroundings()
    nixes = [path.expanduser().absolute() for path in options.nix or ()]
    if not options.vary:
        return [checked(replace(asked, nix=nix)) for nix in nixes or (None,)], []
    return everything(asked, [*nixes, *_own_nix(session, nixes)])


def _own_nix(session: Session, named: Sequence[Path]) -> Iterator[Path]:
    """Yield cog-nix's own Nix, where that is another version than the machine's and those that are named."""
    own = bring.bring("nix", session.reporter, session.plugins)
    here = choice.on_machine(os.environ)
    used = [*named, *([here.parent] if here else [])]
    if own and here and version(own) not in set(map(version, used)):
        yield own


def _umask(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        value = int(text, _OCTAL)
    except ValueError:
        value = -1
    if not 0 <= value <= _ALL:
        raise FlagError("--umask", "expected an octal number.", text, hint="Write it as 022 or 077.")
    return value


def _absolute(archive: str) -> str:
    """Return an archive's name from the root where it is a path: the build is in another folder."""
    return str(Path(archive).absolute()) if archive and Path(archive).exists() else archive


def _absolute_secret(text: str) -> str:
    """Return ``--secret`` with the path of its file from the root: the build is in another folder."""
    parts = (part.partition("=") for part in text.split(","))
    files = {"src", "source"}
    return ",".join(
        f"{name}={Path(value).absolute()}" if name in files else f"{name}{equals}{value}"
        for name, equals, value in parts
    )


def _lines(found: Verification) -> Iterator[str]:
    """Yield what was found, for people."""
    yield f"{found.image.title}  {found.image.id}"
    for attempt in found.attempts:
        yield ""
        yield f"Rebuilt: {attempt.title}"
        yield from (f"  {line}" for line in told(attempt.comparison, ("the image", "rebuilt")))
    yield ""
    for line in found.lacking:
        yield f"Not varied: {line}"
    count = len(found.attempts)
    builds = "1 build" if count == 1 else f"{count} builds"
    yield f"The same, bit for bit, in {builds}." if found.same else f"Not the same in {builds}."
