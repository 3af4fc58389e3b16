"""Which packages to install: a search over Depends, alternatives, Provides, Conflicts and Breaks.

The rules are those of ``apt-get install --no-install-recommends`` on an empty machine:

- a clause of Depends or Pre-Depends is met by any of its alternatives that is chosen already, otherwise by
  the first that can be: the package of that name (highest version, or the pinned one), then what provides it;
- what can be met in one way only is chosen before anything that leaves a choice, so that the order in which
  names are asked for does not matter;
- Conflicts and Breaks forbid: for a set that is installed as a whole, the two mean the same (Policy 7.3,
  7.4).

Where a choice runs into a dead end, the search goes back to the latest choice that had a part in it
(conflict-directed backjumping): each chosen package remembers, as bits of a number, which open choices led to
it. So a contradiction that no choice can mend is found at once, however many choices were made before.

A general resolver for versions of named things (resolvelib) takes some hundred times as long, and its errors
would speak of names invented for alternatives and conflicts (docs/design/dependencies.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from .relations import Clause, Relation, show_clause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .packages import Catalogue, Package

_MAX_DEAD_ENDS = 5000
"""A bound for sets so contradictory that looking further would not end; real ones need a handful."""


@dataclass(frozen=True)
class Need:
    """A clause that must be met."""

    clause: Clause
    owner: str = ""
    """Name of the chosen package whose clause it is; empty: it was asked for."""


@dataclass(frozen=True)
class Chosen:
    """A package of the set, and why it is there."""

    package: Package
    need: Need
    stage: int
    """Number of the group that brought it."""
    blame: int
    """Bits of the choices that led here; 0: there was no choice."""


@dataclass(frozen=True)
class Obstacle:
    """Why a package that would meet a need cannot be chosen."""

    package: Package
    other: Chosen
    relation: Relation | None
    """What forbids it; None: another version of the package is chosen."""
    by_other: bool = False
    """Whether the chosen package is the one that says so."""


class DeadEndError(Exception):
    """A need that nothing can meet."""

    def __init__(self, need: Need, obstacles: Sequence[Obstacle], chosen: Mapping[str, Chosen]) -> None:
        super().__init__(show_clause(need.clause))
        self.need = need
        self.obstacles = tuple(obstacles)
        self.chosen = chosen


@dataclass
class _State:
    """What is chosen so far, and what that asks for. Copied at each choice."""

    chosen: dict[str, Chosen] = field(default_factory=dict)
    provided: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Virtual name: the chosen packages that provide it, each with the version it provides."""
    forbidden: dict[str, tuple[tuple[Relation, str], ...]] = field(default_factory=dict)
    """Name: the relations that reject it, each with the chosen package that says so."""
    open: list[Need] = field(default_factory=list)
    stage: int = -1

    def copy(self) -> _State:
        return _State(
            dict(self.chosen), dict(self.provided), dict(self.forbidden), list(self.open), self.stage
        )


@dataclass
class _Choice:
    """A need that could be met in several ways."""

    before: _State
    need: Need
    left: list[Package]
    blame: int
    """Bits of the earlier choices that had a part in dead ends below this one."""
    error: DeadEndError | None = None
    """The first dead end below this choice: the one on the preferred way, so the easiest to understand."""


class Solver:
    """Finds a set of packages.

    Args:
        catalogue: what there is.
        pins: versions to take where they exist and fit.
    """

    def __init__(self, catalogue: Catalogue, pins: Mapping[str, str]) -> None:
        self._catalogue = catalogue
        self._pins = pins
        self._options: dict[Clause, tuple[Package, ...]] = {}

    def solve(self, groups: Sequence[Sequence[Clause]]) -> list[dict[str, Package]]:
        """Return what each group of clauses adds to the ones before it, by package name.

        A group is complete before the next one is looked at, so a later group changes an earlier one only
        where both cannot be met otherwise.

        Raises:
            DeadEndError: the clauses cannot be met together.
        """
        state = self._search(
            [[Need(clause) for clause in sorted(group, key=show_clause)] for group in groups]
        )
        added: list[dict[str, Package]] = [{} for _ in groups]
        for name in sorted(state.chosen):
            added[state.chosen[name].stage][name] = state.chosen[name].package
        return added

    def options(self, clause: Clause) -> tuple[Package, ...]:
        """Return the packages that meet a clause, in order of preference, whatever else is chosen."""
        if clause not in self._options:
            found = (package for relation in clause for package in self._meeting(relation))
            self._options[clause] = tuple({(each.name, each.version): each for each in found}.values())
        return self._options[clause]

    def _options_of(self, need: Need) -> tuple[Package, ...]:
        """Return the options of a need: a name that was asked for means that package where it exists.

        Other packages that provide the name would do for a dependency, and not for a person.
        """
        options = self.options(need.clause)
        if need.owner:
            return options
        names = {relation.name for relation in need.clause}
        return tuple(option for option in options if option.name in names) or options

    def _meeting(self, relation: Relation) -> Iterator[Package]:
        if not relation.fits_architecture:
            return
        named = [
            package for package in self._catalogue.named(relation.name) if relation.accepts(package.version)
        ]
        yield from sorted(named, key=self._is_not_pinned)
        for package in sorted(self._catalogue.providing(relation.name), key=self._is_not_pinned_elsewhere):
            if any(
                each.name == relation.name and relation.accepts(each.version) for each in package.provides
            ):
                yield package

    def _is_not_pinned(self, package: Package) -> bool:
        return self._pins.get(package.name) != package.version

    def _is_not_pinned_elsewhere(self, package: Package) -> tuple[int, str, bool]:
        # Pins order the versions of one provider, not the providers.
        return (package.priority_rank, package.name, self._is_not_pinned(package))

    def _search(self, groups: list[list[Need]]) -> _State:
        state, choices = _State(), list[_Choice]()
        dead_ends = 0
        while True:
            try:
                self._propagate(state)
            except DeadEndError as error:
                dead_ends += 1
                if dead_ends > _MAX_DEAD_ENDS:
                    raise
                state = _go_back(choices, error, _blame(state, error.need, error.obstacles))
            else:
                if state.open:
                    self._choose_one(state, choices)
                elif state.stage + 1 < len(groups):
                    state.stage += 1
                    state.open = list(groups[state.stage])
                else:
                    return state

    def _propagate(self, state: _State) -> None:
        """Choose what has no alternative left, until all that is open leaves a choice."""
        done = False
        while not done:
            done = True
            waiting, state.open = state.open, []
            for need in waiting:
                options = self._options_of(need)
                if any(_is_chosen(state, option) for option in options):
                    continue
                obstacles = [_obstacle(state, option) for option in options]
                possible = [
                    each for each, obstacle in zip(options, obstacles, strict=True) if obstacle is None
                ]
                met = [obstacle for obstacle in obstacles if obstacle]
                if not possible:
                    raise DeadEndError(need, met, dict(state.chosen))
                if len(possible) == 1:
                    _choose(state, need, possible[0], _blame(state, need, met))
                    done = False
                else:
                    state.open.append(need)

    def _choose_one(self, state: _State, choices: list[_Choice]) -> None:
        """Take the first option of the first open need; remember the others."""
        need = next((each for each in state.open if self._names_one_package(each)), state.open[0])
        options = self._options_of(need)
        obstacles = [_obstacle(state, option) for option in options]
        possible = [each for each, obstacle in zip(options, obstacles, strict=True) if obstacle is None]
        blame = _blame(state, need, [obstacle for obstacle in obstacles if obstacle])
        choices.append(_Choice(state.copy(), need, possible[1:], blame))
        _choose(state, need, possible[0], 1 << (len(choices) - 1))

    def _names_one_package(self, need: Need) -> bool:
        """Tell whether only the version is open: such a need is as good as one without a choice."""
        return len({option.name for option in self._options_of(need)}) == 1


def _go_back(choices: list[_Choice], error: DeadEndError, blame: int) -> _State:
    """Return to the latest choice to blame, with its next option.

    Raises:
        DeadEndError: nothing is left to try; the first dead end below the choices that had a part in it.
    """
    while blame:
        level = blame.bit_length() - 1
        del choices[level + 1 :]
        choice = choices[level]
        choice.blame |= blame & ~(1 << level)
        choice.error = choice.error or error
        if choice.left:
            state = choice.before.copy()
            _choose(state, choice.need, choice.left.pop(0), 1 << level)
            return state
        blame, error = choice.blame, choice.error
        choices.pop()
    raise error from None


def _is_chosen(state: _State, package: Package) -> bool:
    chosen = state.chosen.get(package.name)
    return chosen is not None and chosen.package.version == package.version


def _choose(state: _State, need: Need, package: Package, blame: int) -> None:
    state.chosen[package.name] = Chosen(package, need, state.stage, blame)
    for relation in package.provides:
        state.provided[relation.name] = (
            *state.provided.get(relation.name, ()),
            (package.name, relation.version),
        )
    for relation in package.rejects:
        state.forbidden[relation.name] = (*state.forbidden.get(relation.name, ()), (relation, package.name))
    state.open.extend(Need(clause, package.name) for clause in package.depends)


def _obstacle(state: _State, package: Package) -> Obstacle | None:
    """Return what forbids a package beside those that are chosen, or None."""
    same = state.chosen.get(package.name)
    if same is not None:
        return None if same.package.version == package.version else Obstacle(package, same, None)
    own_names = [(package.name, package.version), *((each.name, each.version) for each in package.provides)]
    for name, version in own_names:
        for relation, owner in state.forbidden.get(name, ()):
            if relation.fits_architecture and relation.accepts(version):
                return Obstacle(package, state.chosen[owner], relation, by_other=True)
    for relation in package.rejects:
        if relation.fits_architecture and (rejected := _rejected(state, relation)):
            return Obstacle(package, rejected, relation)
    return None


def _rejected(state: _State, relation: Relation) -> Chosen | None:
    """Return a chosen package that a relation is about, by its name or one it provides (Policy 7.5)."""
    named = state.chosen.get(relation.name)
    if named and relation.accepts(named.package.version):
        return named
    for provider, version in state.provided.get(relation.name, ()):
        if relation.accepts(version):
            return state.chosen[provider]
    return None


def _blame(state: _State, need: Need, obstacles: Sequence[Obstacle]) -> int:
    """Return the bits of all choices that had a part in a need and in what stands in its way."""
    owner = state.chosen[need.owner].blame if need.owner else 0
    return reduce(or_, (obstacle.other.blame for obstacle in obstacles), owner)
