"""What a text may look like: plain characters, no markup, links, orders or personal data, one to three short sentences."""

from __future__ import annotations

import re
from unicodedata import category

from jobs.generate.checks.evidence import Evidence, fold
from jobs.generate.checks.reading import Token, sentences
from jobs.generate.checks.vocabulary import KNOWN

UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
LINK = re.compile(r"https?:|www\.|\b[\w-]+\.(?:com|org|net|io|de|co|ru|info|biz)\b", re.I)
MARKUP = re.compile(r"[<>{}\[\]`|\\#*_~^=+@$%/]|^\s*[-–—•]\s|&\w+;")
E_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
PHONE = re.compile(r"(?<![\w.])\+?\(?\d(?:[\s().-]*\d){6,}")
INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass) (?:\w+ ){0,3}(?:instructions?|prompts?|rules?|previous|above|everything)\b"
    r"|\b(?:print|reveal|repeat) (?:\w+ ){0,3}(?:prompt|instructions?|secrets?|passwords?)\b|\bas an ai\b|\byou are now\b"
    r"|\b(?:system|assistant|user|developer) ?(?:prompt|message)?:"
    r"|\b(?:click (?:here|on)|subscribe (?:now|to)|sign up|(?:buy|call) now|you must)\b"
    r"|\b(?:say|write|output) (?:that|only)\b|\bjailbreak\b|\bsudo\b|\brm -rf\b|\bdrop table\b|\bunion select\b",
    re.I,
)
HOSTILE = re.compile(
    r"<[/!?a-z|]|[|]>|\{\{|\{%|\$\{|\]\(|```|^\s*[=@]|^\s*[+-]\s*\w+\(|^# |javascript:|data:text|['\"];? ?--", re.I
)
SENTENCES = 3


def characters(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """Nothing that is not seen: control and format characters, bidirectional marks, private use."""
    return next((f"characters: U+{ord(each):04X}" for each in text if category(each) in UNSEEN), None)


def markup(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """Outside of names no markup and no formula."""
    return f"markup: {match.group()}" if (match := MARKUP.search(_rest(tokens))) else None


def links(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    return f"link: {match.group()}" if (match := LINK.search(_rest(tokens, ""))) else None


def personal(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """No e-mail address, no phone number, and not the user's id."""
    for what, pattern in (("e-mail", E_MAIL), ("phone", PHONE)):
        if pattern.search(text):
            return f"personal: {what}"
    user, plain = fold(evidence.user), fold(_rest(tokens))
    told = bool(user) and user not in KNOWN and re.search(rf"(?<!\w){re.escape(_spaced(user))}(?!\w)", _spaced(plain))
    return "personal: the user's id" if told else None


def instructions(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """Nothing that tells a reader or a model what to do."""
    return f"instruction: {match.group()}" if (match := INSTRUCTION.search(_rest(tokens))) else None


def hostile(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """No name that is markup, a link, a formula, an address or an instruction: a template quotes it, where it stays inert."""
    return next((f"hostile: {token.text[:80]}" for token in tokens if token.name and not inert(token.text)), None)


def inert(name: str) -> bool:
    """Whether a name is none of these, so that it may stand in a text without quotes."""
    return not any(pattern.search(name) for pattern in (HOSTILE, LINK, E_MAIL, PHONE, INSTRUCTION))


def length(text: str, evidence: Evidence) -> str | None:
    return f"length: {len(text)} characters, at most {evidence.most}" if len(text) > evidence.most else None


def sentence_count(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    told = len(sentences(tokens))
    return f"length: {told} sentences, at most {SENTENCES}" if told > SENTENCES else None


def ending(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    return None if re.search(r"[.!][\"”]?$", text) else "sentence: does not end"


def repetition(text: str, tokens: list[Token], evidence: Evidence) -> str | None:
    """No four words in a row come twice, a name counting as one; no title is quoted twice, no tag stands beside itself."""
    spelled = [token.name or token.text for token in tokens]
    runs = [tuple(spelled[place : place + 4]) for place in range(len(spelled) - 3)]
    quoted = [token.name for token in tokens if token.quoted]
    nouns = [token.text for token in tokens if token.sorts and token.sorts <= {"thing", "plural"}]
    verbs = [token.text for token in tokens if "third" in token.sorts]
    again = [" ".join(run) for run in runs if runs.count(run) > 1]
    again += [name for name in quoted if quoted.count(name) > 1]
    for one, between, other in zip(tokens, tokens[1:], tokens[2:], strict=False):
        again += [one.name] if one.name and one.name == other.name and between.text in ("and", ",", "or") else []
    again += [noun for noun in nouns if nouns.count(noun) > 1] + [verb for verb in verbs if verbs.count(verb) > 2]
    return f"repetition: {again[0]}" if again else None


def _rest(tokens: list[Token], between: str = " ") -> str:
    """The text without its names."""
    return between.join("\ufffc" if token.name else token.text for token in tokens)


def _spaced(text: str) -> str:
    return " ".join(re.findall(r"\w+|[^\w\s]", text))
