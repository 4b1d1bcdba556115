"""Our own prose: every variant of every language and tone, by the facts that it tells; files that are wrong; a German night."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs import prose as files
from jobs.contracts import contract
from jobs.errors import PromptError
from jobs.generate.checks import Evidence, objections
from jobs.generate.checks.form import inert
from jobs.generate.fake_engine import FakeEngine
from jobs.generate.templates import MOST, Prose, load_prose, shortened
from jobs.generate.told import Told, of_summary
from jobs.generate.worker import Worker
from jobs.home import REPOSITORY, TEMPLATES
from jobs.manifest import read_manifest
from jobs.profile import Words
from jobs.progress import Progress
from jobs.prose import SENTENCES, languages, load_language
from tests.data.hostile import HOSTILE, INVISIBLE
from tests.generate.rows import RUN_DATE, candidate, event, fact, night, results, row, user

RESULT = contract("results").json()["properties"]
LIMITS = (
    RESULT["summary"]["properties"]["summary"],
    RESULT["explanations"]["items"]["properties"]["explanation"],
)
VOICES = [(language, tone) for language in languages() for tone in load_language(language).tones]
SEVERAL = range(8)  # keys


def told(**kinds: list[str]) -> list[Told]:
    return [Told(kind, label, ("e1",)) for kind, names in kinds.items() for label in names]


def only(language: str = "en", tone: str = "plain") -> Prose:
    """Prose about films that has the first variant of every sentence."""
    prose = load_prose(language, tone, "film")
    first = {kind: variants[:1] for kind, variants in prose.sentences.items()}
    return Prose(prose.language, first, prose.noun)


@pytest.mark.parametrize(
    ("facts", "n_events", "expected"),
    [
        (
            told(likes_tag=["Drama", "Crime", "War"], favourite=["Heat", "Matrix, The"], dislikes_tag=["Horror"]),
            9,
            "Enjoys drama, crime and war films, with “Heat” and “The Matrix” among the favourites."
            " Tends not to enjoy horror films.",
        ),
        (told(likes_creator=["Ann Lee", "Bo Ek"]), 9, "Enjoys films by Ann Lee and Bo Ek."),
        (told(likes_tag=["Drama"], likes_creator=["Ann Lee"]), 9, "Enjoys drama films. A favourite creator is Ann Lee."),
        (told(favourite=["Heat"], dislikes_creator=["Bo Ek"]), 9,
         "Counts “Heat” among the favourites. Tends not to enjoy films by Bo Ek."),
        (told(recent=["Tron"], disliked=["Tron"]), 2,
         "So far 2 events, the latest “Tron”; no clear favourite yet. Did not enjoy “Tron”."),
        (told(likes_tag=["Drama"], recent=["Heat", "Tron"]), 9,
         "Enjoys drama films. The latest choices include “Heat” and “Tron”."),
        (told(likes_tag=["IMAX", "Drama"], favourite=["Blind Side, The "]), 9,
         "Enjoys IMAX and drama films, with “The Blind Side” among the favourites."),
        (told(recent=["Heat"]), 1, "So far there is one event, “Heat”; no clear favourite yet."),
        (told(favourite=["Heat"], more_lately=["Comedy"]), 9,
         "Counts “Heat” among the favourites. Most recently they chose more comedy films."),
        (told(favourite=["Heat"], less_lately=["Comedy"]), 9,
         "Counts “Heat” among the favourites. Most recently they chose fewer comedy films."),
        (told(favourite=["Heat"], era=["1990s"]), 9,
         "Counts “Heat” among the favourites. Many of their films are from the 1990s."),
        (told(favourite=["Heat"], rhythm=["in bursts"]), 9,
         "Counts “Heat” among the favourites. They came in bursts."),
    ],
)  # fmt: skip
def test_summary(facts: list[Told], n_events: int, expected: str) -> None:
    assert only().summary(facts, n_events, "u1") == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (told(event=["Heat"], recommended=["Ronin"]), "Because of “Heat” in your history, you may like “Ronin”."),
        (
            told(event=["Heat", "Tron"], recommended=["Ronin"], shared_tag=["Drama", "Crime"]),
            "Because of “Heat” and “Tron” in your history, you may like “Ronin”: it has drama and crime too.",
        ),
        (told(event=["Heat"], recommended=["Ronin"], shared_creator=["Ann Lee"]),
         "Because of “Heat” in your history, you may like “Ronin”. It is by Ann Lee too."),
        (told(event=["Heat"], recommended=["Ronin"], new_tag=["War"]),
         "Because of “Heat” in your history, you may like “Ronin”. It adds war, which is new for you."),
        (told(recommended=["Ronin"]), "“Ronin” may be worth a look."),
    ],
)  # fmt: skip
def test_explanation(facts: list[Told], expected: str) -> None:
    assert only().explanation(facts, "u1") == expected


def test_only_what_is_popular_is_told_to_be() -> None:
    assert (
        only().explanation(told(recommended=["Ronin"]), "u1", True)
        == "“Ronin” is one of the more popular choices at the moment."
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            told(likes_tag=["Drama", "Crime"], favourite=["Heat"], dislikes_creator=["Bo Ek"], era=["1990s"]),
            "Mag Drama und Crime und zählt „Heat“ zu den Favoriten. Mag Titel von Bo Ek eher nicht."
            " Vieles im Verlauf stammt aus den 1990er-Jahren.",
        ),
        (told(likes_creator=["Ann Lee"], rhythm=["weekends"]), "Mag Titel von Ann Lee gern. Kam meist am Wochenende."),
    ],
)
def test_german(facts: list[Told], expected: str) -> None:
    assert only("de").summary(facts, 9, "u1") == expected


def shapes(names: list[str]) -> Iterator[tuple[bool, list[Told]]]:
    """Whether a summary, and facts: every kind, with one, two or three of these names where a text may have as many."""
    one, two = names[:1], names[:2]
    likes: list[dict[str, list[str]]] = [
        {"likes_tag": names}, {"likes_creator": two}, {"favourite": two}, {"likes_tag": names, "favourite": two},
        {"likes_creator": two, "favourite": one}, {"recent": one}, {"likes_tag": two, "recent": two},
    ]  # fmt: skip
    dislikes: list[dict[str, list[str]]] = [{}, {"dislikes_tag": two}, {"dislikes_creator": one}, {"disliked": one}]
    rhythms = [kind.removeprefix("rhythm ") for kind in SENTENCES if kind.startswith("rhythm ")]
    last: list[dict[str, list[str]]] = [{kind: one} for kind in ("more_lately", "less_lately", "likes_creator")]
    last += [{}, {"era": ["1990s"]}, *({"rhythm": [label]} for label in rhythms)]
    for first in likes:
        yield from ((True, told(**{**first, **second})) for second in dislikes)
        yield from ((True, told(**{**first, **dislikes[1], **third})) for third in last if not third.keys() & first.keys())
    for shared in ([], one, two):
        for aside in ("shared_creator", "new_tag", "none"):
            yield False, told(event=two, recommended=one, shared_tag=shared, **({aside: one} if aside != "none" else {}))
    yield False, told(recommended=one)


def texts(voice: tuple[str, str], names: list[str], keys: range = SEVERAL) -> Iterator[tuple[dict[str, Any], str]]:
    """The contract's limits and a text, for all shapes and keys."""
    prose = load_prose(*voice, "film")
    for is_summary, facts in shapes(names):
        for key in map(str, keys):
            yield (
                (LIMITS[0], prose.summary(facts, 1 + int(key) % 2, key)) if is_summary
                else (LIMITS[1], prose.explanation(facts, key, int(key) % 2 > 0))
            )  # fmt: skip


@pytest.mark.parametrize("voice", VOICES, ids=" ".join)
@pytest.mark.parametrize("names", [["M"], ["Alba"], ["Alba", "Bora"], ["Alba", "Bora", "Cora"]], ids=" ".join)
def test_every_text_is_whole_sentences(voice: tuple[str, str], names: list[str]) -> None:
    joined = {"en": " and ", "de": " und "}[voice[0]]
    for limits, text in texts(voice, names):
        assert limits["minLength"] <= len(text) <= limits["maxLength"]
        assert text[0] in "“„" or text[0].isupper(), text
        assert text[-1] in ".?" and not re.search(r"  | [.,;:?!]|[.?!][.,;:]|\(|\{|,,", text), text
        assert all(re.match(r"[“„A-ZÄÖÜ]", each) for each in re.split(r"(?<=[.?!]) ", text)), text
        assert len(names) == 1 or "Alba" not in text or "Bora" not in text or joined in text or text.count("Alba") > 1, text


@pytest.mark.parametrize("voice", VOICES, ids=" ".join)
def test_every_variant_gets_its_turn(voice: tuple[str, str]) -> None:
    prose = load_prose(*voice, "film")
    found = {text for _, text in texts(voice, ["Alba", "Bora"], range(40))}
    for kind, variants in prose.sentences.items():
        for each in variants:
            parts = [re.escape(part) for part in re.split(r"\{[^{}]*\}", each.replace("{nouns}", prose.nouns))]
            assert any(re.search(".+".join(parts), text) for text in found), (kind, each)


@pytest.mark.parametrize("voice", VOICES, ids=" ".join)
def test_variety(voice: tuple[str, str]) -> None:
    """Enough variants of what comes first, which do not begin alike; ten explanations of one user differ in their words."""
    prose = load_prose(*voice, "film")
    for kind in ("likes", "likes_favourite", "favourite", "event", "event_shared_tag"):
        variants = prose.sentences[kind]
        assert len({*variants}) == len(variants) >= 6
        assert len({each.split()[0] for each in variants}) >= 4
    assert all(len({*variants}) == len(variants) >= 2 for variants in prose.sentences.values())
    facts = told(event=["Heat"], recommended=["Ronin"])
    for person in range(20):
        beginnings = [prose.explanation(facts, f"u{person}i{item}").split()[0] for item in range(10)]
        assert len({*beginnings}) >= 3, beginnings


def test_a_key_has_one_text() -> None:
    prose, facts = load_prose("en", "plain", "film"), told(likes_tag=["Drama"], favourite=["Heat"], era=["1990s"])
    found = [[prose.summary(facts, 9, f"u{place}") for place in range(50)] for _ in range(2)]
    assert found[0] == found[1] and len({*found[0]}) > 6


def test_german_speaks_to_its_reader_in_one_way() -> None:
    """`warm` says du, and nothing of `plain`, which says Sie, may stand in it."""
    said = {tone: load_language("de").sentences(tone).values() for tone in ("plain", "warm")}
    of = {tone: " ".join(each for variants in sentences for each in variants) for tone, sentences in said.items()}
    assert not re.search(r"\b(du|dich|dir|dein\w*)\b", of["plain"], re.I)
    assert not re.search(r"\b(Sie|Ihnen|Ihr\w*)\b", of["warm"])


LONG = "word " * 50


@pytest.mark.parametrize("voice", VOICES, ids=" ".join)
@pytest.mark.parametrize(
    "name",
    ["M", LONG, f"<b>{LONG}", "{0} {item} {x!r} %s", "a\nb"],
    ids=["one letter", "long", "quoted", "format", "lines"],
)
def test_every_text_keeps_to_its_contract(name: str, voice: tuple[str, str]) -> None:
    """With as many names as a text can hold."""
    assert {limits["maxLength"] for limits in LIMITS} == {MOST}
    for limits, text in texts(voice, [f"{place}{name}" for place in range(3)], range(3)):
        assert limits["minLength"] <= len(text) <= limits["maxLength"] and "\n" not in text
        assert "{" not in text.replace("{0} {item} {x!r} %s", "")


@pytest.mark.parametrize("voice", VOICES, ids=" ".join)
def test_hostile_names_stay_inert(voice: tuple[str, str]) -> None:
    (before, after), prose = load_language(voice[0]).quotes, load_prose(*voice, "film")
    for hostile in [*HOSTILE, *(f"<{each}b>" for each in INVISIBLE), *INVISIBLE]:
        a, b, c = (f"{hostile} {place}" for place in range(3))
        for last in ("more_lately", "likes_creator"):
            facts = told(likes_tag=[a, b, c], favourite=[a, b], dislikes_creator=[a], **{last: [c]})
            text = prose.summary(facts, 9, hostile)
            assert text.isprintable() and inert(outside(text, before, after)), text
        for last in ("shared_creator", "new_tag"):
            text = prose.explanation(told(event=[a, b], recommended=[c], shared_tag=[a, b], **{last: [c]}), hostile)
            assert text.isprintable() and inert(outside(text, before, after)), text


def outside(text: str, before: str, after: str) -> str:
    """A text without what it quotes."""
    return "".join(part.split(after)[-1] for part in text.split(before))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a  b\n", "a b"), ("x" * 72, "x" * 72), ("x" * 73, "x" * 71 + "…"), ("x" * 70 + " yy", "x" * 70 + "…")],
)
def test_shortened(name: str, expected: str) -> None:
    assert shortened(name) == expected


def test_a_name_is_cut_further_only_where_a_text_has_no_room() -> None:
    prose, name = load_prose("en", "plain", "film"), "x" * 60
    assert f"“{name}”" in prose.explanation(told(event=[name], recommended=["Ronin"]), "u1")
    crowded = told(likes_tag=[f"{place}{name}" for place in "abc"], favourite=[f"{place}{name}" for place in "de"],
                   dislikes_tag=[f"{place}{name}" for place in "fg"], more_lately=[name])  # fmt: skip
    text = prose.summary(crowded, 9, "u1")
    assert len(text) <= MOST and text.count("x…") == 8


def test_rhythms_are_those_of_prepare() -> None:
    rules = (REPOSITORY / "jobs" / "prepare" / "rhythm.py").read_text(encoding="utf-8").split('"""')[1]
    labels = {label for line in rules.splitlines() if line.startswith("- ") for label in re.findall(r"`([a-z ]+)`", line)}
    assert {f"rhythm {label}" for label in labels} == {kind for kind in SENTENCES if kind.startswith("rhythm ")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of languages; what others were loaded from is forgotten before and after."""
    monkeypatch.setattr(files, "TEMPLATES", tmp_path)
    caches = (load_language, files.language_digest)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path
    for cache in caches:
        cache.cache_clear()


ENGLISH = (TEMPLATES / "en.yaml").read_text(encoding="utf-8")
ERA = "      - Many of their {nouns} are from the {year}s.\n      - They often choose {nouns} from the {year}s.\n"


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("lower_tags: true", "lower_tags: perhaps", "lower_tags"),
        ("lower_tags: true", "lower_tags: true\nauthor: me", "author"),
        ('between: ", "\n', "", "between"),
        ('tags: "{tags} {nouns}"', "tags: all", "tags: 'all': needed is {tags} once"),
        ('creators: "{nouns} by {creators}"', 'creators: "{creator}"', "creators: '{creator}': needed is {creators} once"),
        (f"    era:\n{ERA}", "", "tones.plain.era: missing"),
        (f"    era:\n{ERA}", "    era: []\n", "tones.plain.era: has no variant"),
        ("    era:", "    eras:", "tones.plain.eras: unknown sentence; allowed: likes, "),
        ("are from the {year}s", "are from the {decade}", "tones.plain.era: 'Many of their {nouns} are from the {decade}.'"),
        ("are from the {year}s", "are old", "needed is {year} once, and nothing else in braces but {nouns}"),
        ("are from the {year}s", "are from the {year!r}s", "needed is {year} once"),
        ("are from the {year}s", "are from the {year:>9}s", "needed is {year} once"),
        ("are from the {year}s", "are from the {year.real}s", "needed is {year} once"),
        ("are from the {year}s", "are from the {{year}}s", "needed is {year} once"),
        ("are from the {year}s", "are from the {year}s {", "needed is {year} once"),
        ("are from the {year}s", "are from the {year}s, {year}", "needed is {year} once"),
        ("They came most days", "They come on {days}", "tones.plain.rhythm daily: 'They come on {days}.': there may be"),
        ("  warm:", "  warm:\n    hello: [Hi]", "tones.warm.hello: unknown sentence"),
        ("  plain:", "  dry:", "tones.plain.likes: missing"),
        ("tones:", "tones: [", "while parsing"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(folder: Path, old: str, new: str, part: str) -> None:
    assert old in ENGLISH
    (folder / "xx.yaml").write_text(ENGLISH.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PromptError) as caught:
        load_language("xx")
    assert part in str(caught.value) and "prompts/templates/xx.yaml" in str(caught.value)


def test_all_faults_are_named_at_once(folder: Path) -> None:
    (folder / "xx.yaml").write_text(ENGLISH.replace("{tag}", "{label}").replace("    era:", "    eras:"), encoding="utf-8")
    with pytest.raises(PromptError) as caught:
        load_language("xx")
    assert all(f"tones.plain.{key}" in str(caught.value) for key in ("era: missing", "eras: unknown", "more_lately", "new_tag"))


def test_a_language_that_is_not_there(folder: Path) -> None:
    (folder / "xx.yaml").write_text(ENGLISH, encoding="utf-8")
    with pytest.raises(PromptError, match="no language 'fr'; there are xx"):
        load_language("fr")


def test_a_tone_may_leave_a_sentence_out(folder: Path) -> None:
    file = yaml.safe_load(ENGLISH)
    file["tones"]["terse"] = {"likes": ["Likes {likes}."]}
    (folder / "xx.yaml").write_text(yaml.safe_dump(file), encoding="utf-8")
    terse, plain = (load_language("xx").sentences(tone) for tone in ("terse", "plain"))
    assert terse["likes"] == ("Likes {likes}.",) and terse["event"] == plain["event"]


@pytest.mark.parametrize(("old", "new"), [("Enjoys", "Loves"), ("lower_tags: true", "lower_tags: false"), (" and ", " & ")])
def test_the_digest_changes_with_every_edit(folder: Path, old: str, new: str) -> None:
    for name, text in (("xx", ENGLISH), ("yy", ENGLISH.replace(old, new)), ("zz", "# a comment\n" + ENGLISH)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    assert files.language_digest("xx") != files.language_digest("yy")
    assert files.language_digest("xx") == files.language_digest("zz")


@pytest.mark.parametrize("tone", ["plain", "warm"])
def test_a_german_night(tone: str, tmp_path: Path) -> None:
    engine = FakeEngine()
    known = row("known", facts=[fact("likes_tag", "Drama", "e1"), fact("favourite", "Heat", "e1")])
    new = row("new", facts=[], history=[event(1, "Heat")], n_events=1, cold=True, candidates=[candidate(1, "Ronin", 1.0, [])])
    profile = night(tmp_path, {0: [known, new]}, model_weight=0.0)
    words = Words(summary="template", explanation="template", language="de", tone=tone)
    profile = profile.model_copy(update={"words": words})
    Worker(profile, read_manifest(profile, RUN_DATE, "r1"), 0, engine, Progress("test")).run()
    for each in results(profile):
        told_ = [(each["summary"]["summary"], each["summary"]["source"])]
        told_ += [(told["explanation"], told["source"]) for told in each["explanations"]]
        assert all(source == "template" and "„" in text and "“" in text and "”" not in text for text, source in told_)
        assert each["fallbacks"] == [] and engine.requests == 0
    assert "Drama" in results(profile)[0]["summary"]["summary"]


def test_facts_of_a_user_are_told() -> None:
    """From a context to its text."""
    person = user()
    text = load_prose("en", "plain", "film").summary(of_summary(person), person.n_events, person.user_id)
    assert all(name in text.lower() for name in ("drama films", "“heat”", "“tron”"))


ASIDES = [
    *[(kind, label) for kind, label in (("likes_creator", "Ann Lee"), ("more_lately", "War"), ("less_lately", "War"))],
    ("era", "1990s"),
    *[("rhythm", label) for label in ("daily", "weekly", "in bursts", "at once", "weekends", "weekdays")],
]
HEAT, RONIN = ("Drama", "Crime"), ("Drama", "War")
TASTE = Evidence(
    liked=("Comedy", "Heat"), needed=(("Comedy", "Heat"),), tags=("Comedy", "War"), noun="film",
    makers=("Ann Lee",), eras=("1990s",),
)  # fmt: skip
REASON = Evidence(
    liked=("Heat",), others=("Ronin", "Heat"), needed=(("Ronin",), ("Heat",)), new="Ronin", tags=("Drama", "Crime", "War"),
    common=("Drama",), traits={"Ronin": RONIN, "Heat": HEAT}, creators={"Ronin": ("Ann Lee",), "Heat": ("Ann Lee",)},
    unseen=("War",), noun="film",
)  # fmt: skip


@pytest.mark.parametrize("tone", ["plain", "warm"])
@pytest.mark.parametrize(("kind", "label"), ASIDES)
def test_what_is_told_behind_a_phrasing_of_a_taste_passes_the_checks(tone: str, kind: str, label: str) -> None:
    known = {"more_lately": {"more": (label,)}, "less_lately": {"less": (label,)}, "rhythm": {"rhythms": (label,)}}
    evidence = replace(TASTE, **known.get(kind, {}))
    for aside in variants(tone, kind, label):
        text = f"Likes comedy films most of all, and “Heat” in particular. {aside}"
        assert objections(text, "stop", evidence) == [], text


@pytest.mark.parametrize("tone", ["plain", "warm"])
@pytest.mark.parametrize(("kind", "label"), [("shared_creator", "Ann Lee"), ("new_tag", "War")])
def test_what_is_told_behind_a_reason_passes_the_checks(tone: str, kind: str, label: str) -> None:
    for aside in variants(tone, kind, label):
        text = f"You liked “Heat”, and “Ronin” is worth a look, since it has drama too. {aside}"
        assert objections(text, "stop", REASON) == [], text


def variants(tone: str, kind: str, label: str) -> list[str]:
    """Every way of saying a last sentence."""
    prose, name = load_prose("en", tone, "film"), f"rhythm {label}" if kind == "rhythm" else kind
    told = [Told("likes_tag", "Comedy"), Told(kind, label)]
    each = [replace(prose, sentences={**prose.sentences, name: (text,)}) for text in prose.sentences[name]]
    return [aside for one in each for aside in one.asides(told, "u")]
