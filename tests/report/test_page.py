"""The page itself: every section with the night's numbers, nothing from outside, no text that is obeyed, a bounded size."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jobs.errors import StorageError
from jobs.profile import Profile
from jobs.progress import Progress
from jobs.report import page
from jobs.report.page import MOST_BYTES, USERS, night_page, place, write_report
from tests.data.hostile import HOSTILE, INVISIBLE
from tests.publish.nights import made
from tests.report.nights import BEFORE, RUN, nights

SECTIONS = ("flow", "calls", "gates", "drift", "lists", "words", "templates", "cost", "users")
OUTSIDE = re.compile(r"""(?:src|srcset|poster|data|action|ping)\s*=|@import|url\(|<(?:link|img|iframe|object|embed|base)\b""")


class Read(HTMLParser):
    """Sections of a page as text, its links, ids and what opens and is not closed."""

    VOID = ("meta", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.at = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        self.ids += [about["id"] or ""] if "id" in about else []
        self.links += [about["href"] or ""] if "href" in about else []
        self.at = (about.get("id") or "") if tag == "section" else self.at
        self.open += [tag] if tag not in self.VOID else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """As in SVG: nothing stays open."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.sections[self.at] = " ".join([self.sections.get(self.at, ""), *data.split()])


@pytest.fixture
def written(profile: Profile) -> Read:
    nights(profile)
    return Read(write_report(profile).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("flow", ["1,000", "used 899", "rejected, events: bad time 1", "carried over 1", "from memory 2", "25"]),
        ("calls", ["6 new calls", "73.5%", "new calls 7 6 5 to 9 86%", "invalid 1"]),
        ("gates", ["4 of 5 rules hold", "rankings score_psi fails warn at most 0.25 0.31; e.g. above 2", "2 of 3 hold"]),
        ("drift", ["r-run-1", "at least 30.00% 87.50%", "last 2 runs", "25.0%", "1,687", "2 min 31 s"]),
        ("lists", ["It does not help", "evaluation-1", "0.080 (0.070 to 0.090)", "+0.050 (+0.040 to +0.060)"]),
        ("words", ["grounding summaries 0.980 (0.970 to 0.990)", "faithfulness explanations 0.729"]),
        ("templates", ["25.0% of the texts asked of the model", "length summaries 1 length: 7 words are too few"]),
        ("cost", ["generate 54 54", "explanation 1 400 25% 30 0", "ann 2 500 50"]),
        ("users", ["4 of 4", "cold", "50% of the list was in the last release", "A Night at Sea", "2024-04-01, 4.5, liked"]),
    ],
)
def test_every_section_has_its_numbers(written: Read, section: str, told: list[str]) -> None:
    text = written.sections[section]
    found = {each: each.lower() in text.lower() for each in told}
    assert all(found.values()), (found, text)


def test_the_page_is_well_formed_and_each_link_leads_somewhere(written: Read) -> None:
    assert [name for name in written.ids if name in SECTIONS] == list(SECTIONS)
    assert not written.open and len(set(written.ids)) == len(written.ids)
    cited = [link for link in written.links if re.fullmatch(r"#u\d+e\d+", link)]
    assert len(cited) == 17 and {link[1:] for link in written.links} <= set(written.ids)


def test_nothing_comes_from_outside(profile: Profile) -> None:
    nights(profile)
    text = write_report(profile).read_text()
    assert OUTSIDE.findall(text) == [] and "http://" not in text and "https://" not in text
    assert "default-src 'none'" in text and "unsafe" not in text and "style=" not in text


# --- runs that are not public ----------


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("blocked", ["coverage fails block", "e.g. user_id=eve", "1 of those that failed blocks"]),
        ("failed", ["did not come so far"]),
    ],
)
def test_a_night_that_is_not_public_has_a_page(profile: Profile, status: str, told: list[str]) -> None:
    nights(profile, status=status, message="prepare ended: no space left on device")
    text = " ".join(Read(write_report(profile).read_text()).sections.values())
    assert "no space left on device" in text and "readers see r-run-1 still" in text
    assert all(each in text for each in told), text


def emptied(row: dict) -> dict:
    """All that may be missing of a row that a rule blocks."""
    kept = ("user_id", "item_id", "event_id", "rank")
    return {name: value if name in kept else None for name, value in row.items()}


def test_a_blocked_night_may_lack_everything(profile: Profile) -> None:
    rows = [made("a"), made("b"), made("c")]
    rows[0] |= {name: [emptied(row) for row in rows[0][name]] for name in ("rankings", "explanations", "evidence")}
    rows[0]["summary"] = emptied(rows[0]["summary"])
    rows[1]["summary"]["interests"] = rows[1]["summary"]["claims"] = [
        {"kind": None, "label": None, "claim": None, "evidence": None}
    ]
    rows[1]["rankings"][0]["contributions"] = [{"source": None, "event_id": "b-e1", "amount": None}]
    rows[2] |= {"rankings": [], "explanations": [], "evidence": []}
    nights(profile, rows, status="blocked")
    read = Read(write_report(profile).read_text())
    assert not read.open and "3 of 3" in read.sections["users"]


# --- where it is, and how large ----------


def test_data_docs_are_linked_where_they_lie_beside_it(profile: Profile, tmp_path: Path) -> None:
    nights(profile)
    docs = place(profile, RUN).parent / "validations" / "rankings" / "x.html"
    docs.parent.mkdir(parents=True)
    docs.write_text("what was seen")
    assert "validations/rankings/x.html" in Read(write_report(profile).read_text()).links
    elsewhere = write_report(profile, RUN, tmp_path / "a" / "page.html")
    with pytest.raises(StorageError, match=r"page.html/x.html: File exists; --out FILE names another place"):
        write_report(profile, RUN, elsewhere / "x.html")
    assert elsewhere == tmp_path / "a" / "page.html" and not any("x.html" in link for link in Read(elsewhere.read_text()).links)


def test_the_same_night_is_the_same_page(profile: Profile) -> None:
    nights(profile)
    assert write_report(profile).read_bytes() == write_report(profile).read_bytes()
    assert f"<bdi>{BEFORE}</bdi>" in write_report(profile, BEFORE).read_text()


def test_a_page_is_of_a_bounded_size(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that never end are cut, and people left out until the page fits."""
    rows = [made(f"user-{k}") for k in range(24)]
    for row in rows:
        row["rankings"] = [row["rankings"][0] | {"rank": n, "item_id": f"i{n}", "title": "<" * 9000} for n in range(1, 11)]
        row["evidence"][0]["title"] = "&" * 100_000
    nights(profile, rows)
    assert write_report(profile).stat().st_size < MOST_BYTES
    full = write_report(profile).stat().st_size
    monkeypatch.setattr(page, "MOST_BYTES", full // 2)
    halved = write_report(profile)
    assert halved.stat().st_size <= full // 2
    assert "12 of 24" in Read(halved.read_text()).sections["users"] or "6 of 24" in Read(halved.read_text()).sections["users"]


# --- a page that cannot be made ----------


def test_a_page_that_cannot_be_made_takes_no_night_down(profile: Profile, capsys: pytest.CaptureFixture[str]) -> None:
    nights(profile)
    folder = place(profile, RUN).parent
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    assert night_page(profile, RUN, Progress("publish")) is None
    said = capsys.readouterr().out
    assert "no page of the night: " in said and f"infra/nocturne report --run {RUN} makes it" in said
    folder.unlink()
    assert night_page(profile, RUN, Progress("publish")) == str(place(profile, RUN))
    assert f"page of the night: {place(profile, RUN)}" in capsys.readouterr().out


# --- hostile texts ----------


TEXTS = [*HOSTILE, "".join(INVISIBLE), "\u202eevil\u2066", '"><script>document.title=1</script>', "x" * 5000]


@pytest.mark.parametrize("texts", [TEXTS[:USERS], TEXTS[USERS:]])
def test_hostile_texts_stay_texts(profile: Profile, texts: list[str]) -> None:
    rows = [made(f"{text}{n}") for n, text in enumerate(texts)]
    for row, text in zip(rows, texts, strict=True):
        row["evidence"][0]["title"] = row["rankings"][0]["title"] = row["explanations"][0]["explanation"] = text
        row["summary"]["claims"] = [{"kind": "likes_tag", "claim": text, "evidence": ["none"]}]
        row["summary"] |= {"checks": [f"names: {text}"], "source": "template", "summary": text}
    nights(profile, rows, fusion=texts[-1], message="".join(texts))
    written = write_report(profile).read_text(encoding="utf-8")
    assert written.count("<script>") == written.count("<style>") == 1
    read = Read(written)
    assert not read.open and all(link.startswith("#") for link in read.links)
    assert not [c for c in written if c in INVISIBLE]
    assert f"{len(rows)} of {len(rows)}" in read.sections["users"]
    shown = " ".join(read.sections["users"].split())
    assert all(" ".join(text.split()) in shown for text in texts if text.isprintable() and len(text) < 100)
