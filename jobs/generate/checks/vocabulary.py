"""Words that claim nothing by themselves, by what they can be in a sentence. Any other word must come from the evidence.

The vocabulary is closed on purpose: "a story of two brothers" is a claim. A word may stand in several classes.
"""

from __future__ import annotations


def words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


IRREGULAR = {  # base: 3rd person, past, participle
    "be": "is was been", "have": "has had had", "do": "does did done", "choose": "chooses chose chosen", "see": "sees saw seen",
    "read": "reads read read", "buy": "buys bought bought", "know": "knows knew known", "keep": "keeps kept kept",
    "come": "comes came come", "go": "goes went gone", "bring": "brings brought brought", "find": "finds found found",
    "make": "makes made made", "show": "shows showed shown", "stand": "stands stood stood", "draw": "draws drew drawn",
    "run": "runs ran run", "get": "gets got got", "give": "gives gave given", "take": "takes took taken", "fit": "fits fit fit",
    "mean": "means meant meant", "feel": "feels felt felt", "think": "thinks thought thought", "hold": "holds held held",
    "steer": "steers steered steered", "try": "tries tried tried", "lead": "leads led led", "build": "builds built built",
    "become": "becomes became become",
}  # fmt: skip
REGULAR = """
    like love enjoy prefer favour favor appreciate adore admire pick watch own tend avoid dislike hate skip stay return match
    suit share combine mix blend include count consider recommend suggest appeal interest follow lean want explore discover
    belong connect link rank reflect point look join span gravitate care pair center centre revolve reach range offer add
    continue move turn introduce mirror echo resonate align complement dominate feature feel speak use value represent
"""
CLASSES = {
    "a": "a an another",
    "the": "the",
    "possessive": "your their my our whose his",
    "determiner": """
        no this that these those some such both all most more many much few several same one its her
        every each fewer
    """,
    "subject": "i you he she they we it who someone",
    "object": "you him her them it us me themselves yourself someone",
    "pronoun": "this that these those one ones another both all most some many what which something",
    "modal": "will would can could may might should must",
    "be": "is are was were am",
    "have": "has have had",
    "do": "do does did",
    "adverb": """
        also too well often again especially particularly mostly mainly most more best least much just even still rarely
        seldom lately recently nowadays increasingly daily weekly once late longer before never not hardly clearly generally
        usually typically really very quite simply greatly deeply strongly
        regularly frequently alike together along likewise similarly equally instead however next first then now already
        so yet consistently largely primarily naturally probably perhaps maybe possibly likely overall there here about
        only rather less little right back highly definitely certainly truly closely both how why otherwise therefore
        thus behind
    """,
    "particle": "up out away back along apart aside",
    "adjective": """
        good great strong clear natural similar same common close fond keen interested drawn new different favourite
        favorite ready right nice perfect solid ideal excellent likely general broad wide particular special next such
        fine fitting suitable obvious real true sure full main equal top best first own comfortable happy useful consistent
        recommended soft steady whole frequent recent active few many several more most
    """,
    "person": "person user reader viewer customer shopper fan lover",
    "thing": """
        kind type sort list history title item choice option match fit step preference genre category combination
        addition suggestion recommendation favourite favorite selection collection candidate example watchlist pick
        companion record theme follow-up creator day week weekend weekday burst
    """,
    "mass": """
        taste interest mix blend love fondness liking time look try read watch mood way heart vein spirit spot place
        side measure degree lot range variety rest turn bit sense addition appeal passion appetite affinity weakness enthusiasm
        appreciation dislike focus core line footsteps liking eye reason fact something
    """,
    "preposition": """
        of in on to for with by from at as into through behind over above among between across within without alongside
        like unlike than including after about toward towards around near except besides beyond worth out plus following
        despite during
    """,
    "conjunction": "and or but nor yet so plus",
    "subordinator": """
        since because if when while whereas although though as that who which whose what where whether unless given how
        than
    """,
}
PLURALS = {"taste": "tastes", "category": "categories", "match": "matches", "mix": "mixes"}
ONLY_ONE = words_of("love fit look read try appeal feature liking passion appetite fondness enthusiasm dislike focus")
PARTICLES = {"'s"}
DOUBLED = {"prefer", "skip", "span", "run", "get", "fit"}


def _plural(noun: str) -> str:
    return PLURALS.get(noun, f"{noun}s")


def _verb(base: str) -> dict[str, str]:
    """The forms of a verb by class."""
    changes = base.endswith("y") and base[-2] not in "aeou"  # try, tries
    stem = base + base[-1] if base in DOUBLED else base.removesuffix("e") if base not in ("be", "see") else base
    ending = f"{base[:-1]}ies" if changes else base + ("es" if base[-1] in "shx" else "s")
    past = f"{base[:-1]}ied" if changes else f"{stem}ed"
    third, past, participle = IRREGULAR[base].split() if base in IRREGULAR else (ending, past, past)
    return {"base": base, "third": third, "past": past, "participle": participle, "ing": f"{stem}ing"}


def _sorts() -> dict[str, frozenset[str]]:
    """Every word with its classes."""
    found: dict[str, set[str]] = {}
    for name, words in CLASSES.items():
        for word in words.split():
            found.setdefault(word, set()).add(name)
            if name in ("person", "thing", "mass") and word not in ONLY_ONE:
                found.setdefault(_plural(word), set()).add("plural")
    for base in (*IRREGULAR, *REGULAR.split()):
        for name, word in _verb(base).items():
            found.setdefault(word, set()).add(name)
    return {word: frozenset(names) for word, names in found.items()}


SORTS = _sorts()
KNOWN = frozenset(SORTS) | PARTICLES
FORMS = {word: base for base in (*IRREGULAR, *REGULAR.split()) for word in _verb(base).values()}  # a verb's form -> its base
SMALL = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty
"""
COUNTED = {word: number for number, word in enumerate(SMALL.split()) if number > 1}
