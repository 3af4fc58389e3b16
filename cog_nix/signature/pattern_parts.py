"""What regular expressions are made of: characters, places, sequences, choices and repetitions.

Matching keeps the set of places reached so far, so no pattern takes exponential time.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = {"d": "0-9", "s": "\t\n\f\r ", "w": "0-9A-Za-z_"}
POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\0-\x7f",
    "blank": "\t ",
    "cntrl": "\0-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@[-`{-~",
    "space": "\t-\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


class PatternError(Exception):
    """A pattern is none that RE2 knows.

    Args:
        reason: what is wrong, in Go's words.
        text: the part of the pattern where it is.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"error parsing regexp: {reason}: `{text}`")


@frozen
class Pattern:
    """A pattern, or a part of one.

    Args:
        step: from the places in a text where this part may start to those where it may end.
        repeats: how often its innermost counted part is repeated, at most.
        height: how deep its parts are nested.
    """

    step: Callable[[str, set[int]], set[int]]
    repeats: int = 1
    height: int = 1

    def matches(self, text: str) -> bool:
        """Tell whether the pattern is found anywhere in a text."""
        return bool(self.step(text, set(range(len(text) + 1))))


def one(test: Callable[[str], bool]) -> Pattern:
    """Return a part that takes one character."""
    return Pattern(lambda text, places: {at + 1 for at in places if at < len(text) and test(text[at])})


def where(test: Callable[[str, int], bool]) -> Pattern:
    """Return a part that takes nothing, at certain places of a text."""
    return Pattern(lambda text, places: {at for at in places if test(text, at)})


def sequence(parts: list[Pattern]) -> Pattern:
    """Return parts that follow each other."""
    if len(parts) == 1:
        return parts[0]

    def step(text: str, places: set[int]) -> set[int]:
        for part in parts:
            places = part.step(text, places)
        return places

    return Pattern(step, *_extent(parts))


def any_of(choices: list[Pattern]) -> Pattern:
    """Return a choice between parts."""
    if len(choices) == 1:
        return choices[0]
    return Pattern(
        lambda text, places: set().union(*(choice.step(text, places) for choice in choices)),
        *_extent(choices),
    )


def _extent(parts: list[Pattern]) -> tuple[int, int]:
    return (
        max((part.repeats for part in parts), default=1),
        max((part.height for part in parts), default=0) + 1,
    )


def repeated(part: Pattern, least: int, most: int, *, counted: bool) -> Pattern:
    """Return a part that may be repeated.

    Args:
        part: what is repeated.
        least: how often, at least.
        most: how often, at most; -1 for any number.
        counted: whether it is written in braces, which RE2 has limits for.
    """

    def step(text: str, places: set[int]) -> set[int]:
        for _ in range(least):
            places = part.step(text, places)
        reached, fresh, left = set(places), places, most - least
        while fresh and left != 0:
            fresh = part.step(text, fresh) - reached
            reached |= fresh
            left -= 1
        return reached

    times = max(most, least) if counted else 1
    return Pattern(step, part.repeats * times, part.height + 1)


def between(first: str, last: str) -> Callable[[str], bool]:
    """Return a test for a range of characters."""
    return lambda character: first <= character <= last


def ranges(written: str, *, negated: bool = False) -> Callable[[str], bool]:
    """Return a test for ``a-z_``, where ``-`` between two characters makes a range."""
    pairs = [(found[1], found[2] or found[1]) for found in re.finditer(r"(.)(?:-(.))?", written, re.DOTALL)]
    return lambda character: any(first <= character <= last for first, last in pairs) != negated


def category(name: str, written: str, *, negated: bool) -> Callable[[str], bool]:
    """Return a test for a Unicode category. Python does not know scripts: of those, any character will do."""
    if re.fullmatch(r"L[ulmotC]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfos]?", name):
        known = {"LC": ("Lu", "Ll", "Lt")}.get(name, (name,))
        return lambda character: unicodedata.category(character).startswith(known) != negated
    if re.sub("[_ -]", "", name).lower() not in _SCRIPTS:
        raise PatternError("invalid character class range", written)
    return lambda _: True


# Scripts, and the long names of categories.
_SCRIPT_NAMES = (
    "adlam ahom anatolianhieroglyphs any arabic armenian ascii assigned avestan balinese bamum "
    "bassavah batak bengali bhaiksuki bopomofo brahmi braille buginese buhid canadianaboriginal "
    "carian casedletter caucasianalbanian chakma cham cherokee chorasmian closepunctuation cntrl "
    "combiningmark common connectorpunctuation control coptic cuneiform currencysymbol cypriot "
    "cyprominoan cyrillic dashpunctuation decimalnumber deseret devanagari digit divesakuru dogra "
    "duployan egyptianhieroglyphs elbasan elymaic enclosingmark ethiopic finalpunctuation format "
    "georgian glagolitic gothic grantha greek gujarati gunjalagondi gurmukhi han hangul "
    "hanifirohingya hanunoo hatran hebrew hiragana imperialaramaic inherited initialpunctuation "
    "inscriptionalpahlavi inscriptionalparthian javanese kaithi kannada katakana kawi kayahli "
    "kharoshthi khitansmallscript khmer khojki khudawadi lao latin lepcha letter letternumber limbu "
    "lineara linearb lineseparator lisu lowercaseletter lycian lydian mahajani makasar malayalam "
    "mandaic manichaean marchen mark masaramgondi mathsymbol medefaidrin meeteimayek mendekikakui "
    "meroiticcursive meroitichieroglyphs miao modi modifierletter modifiersymbol mongolian mro "
    "multani myanmar nabataean nagmundari nandinagari newa newtailue nko nonspacingmark number nushu "
    "nyiakengpuachuehmong ogham olchiki oldhungarian olditalic oldnortharabian oldpermic oldpersian "
    "oldsogdian oldsoutharabian oldturkic olduyghur openpunctuation oriya osage osmanya other "
    "otherletter othernumber otherpunctuation othersymbol pahawhhmong palmyrene paragraphseparator "
    "paucinhau phagspa phoenician privateuse psalterpahlavi punct punctuation rejang runic samaritan "
    "saurashtra separator sharada shavian siddham signwriting sinhala sogdian sorasompeng soyombo "
    "spaceseparator spacingmark sundanese surrogate sylotinagri symbol syriac tagalog tagbanwa taile "
    "taitham taiviet takri tamil tangsa tangut telugu thaana thai tibetan tifinagh tirhuta "
    "titlecaseletter toto ugaritic unassigned uppercaseletter vai vithkuqi wancho warangciti yezidi "
    "yi zanabazarsquare "
)
_SCRIPTS = frozenset(_SCRIPT_NAMES.split())


def is_word_edge(text: str, at: int) -> bool:
    """Tell whether a word of ASCII letters, digits and underscores starts or ends at a place."""
    return _is_word(text[at - 1 : at] if at else "") != _is_word(text[at : at + 1])


def _is_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")
