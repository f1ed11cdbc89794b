"""The words of a question that name the thing: what is left without those that ask ("can you see the ...?"), where it is and how large.

A region is matched by what it shows, enlarged, and knows neither how politely it was asked for, nor on which shelf it stands, nor how few
pixels it had: such words only move the question's vector (docs/notes/regions.md has what they cost). English alone; other languages pass
through. Used where a manifest says `plain_words`, as it is for small models; a large one may make something of every word.
"""

import re
from itertools import takewhile

LONGEST = 200  # characters; longer ones are descriptions and stay as they are
_DETERMINER = r"(?:a|an|the|any|some|this|that|these|those|my|our)"
# What a robot is told to do, or asked, before the thing is named: one of these, words of the second list, and a determiner.
_DOING = (
    r"(?:go|drive|walk|roll|fly|move|head|navigate|come|take|bring|fetch|carry|follow|approach|reach|steer|return|stop|slow|wait|park|check"
    r"|let|tell|warn|notify|alert|inform|has|have|had|which|how)"
)
_ON_THE_WAY = (
    r"(?:to|up|over|down|back|near|by|towards?|into|past|beside|before|behind|at|for|from|after|until|till|when|whenever|once|if|as|soon|about"
    r"|i|you|we|he|she|it|they|me|us|him|her|them|anyone|anybody|someone|somebody|know|see|seen|notice|noticed|spot|spotted|find|found|pass"
    r"|passed|left|lost|dropped|put|way|far|is|are|was|were|has|have)"
)
_ASKING = re.compile(
    r"^(?:"
    + "|".join(
        [
            r"(?:please|hey|hi|hello|okay|ok|well)\b,?",
            r"(?:can|could|would|will) (?:you|we|i|anyone)(?: please)?",
            r"(?:do|did|does) (?:you|we|i|anyone) (?:see|have|spot|notice|find)",
            r"do(?:es)? (?:it|this|that|they) (?:say|read)",
            r"(?:i|we)(?: am|'m| are|'re)? (?:want|need|look|looking|search|searching|see|would like)(?: to (?:see|find|know|get))?",
            # Many of these verbs are things too ("watch", "point", "look"): they ask only before "me", "for", a determiner and the like.
            r"(?:find|locate|show|detect|identify|look|search|point|tell|give|bring|get|spot|see|highlight)(?: me| us)?"
            r"(?: for| at| to| out| where| if| whether)+",
            r"(?:find|locate|show|detect|identify|bring|give|get|spot|see|highlight|point|tell) (?:me|us)",
            rf"(?:show|spot|see|highlight|get)(?= {_DETERMINER} )",
            r"(?:find|locate|detect|identify)",
            r"(?:where|what|which|who|how)(?:'s| is| are| was| were| about)",
            r"(?:is|are|was|were|there|here|this|that|these|those|it)(?:'s| is| are| was| were| there)+",
            r"(?:where|whether|if)",
            rf"{_DOING}(?: {_ON_THE_WAY})* {_DETERMINER}",
            r"(?:any |some |each )?one of (?:the|these|those|my|our)(?: (?:two|three|four|five|six|several|many|few|other))?",
            _DETERMINER,
            r"(?:picture|photo|photograph|image)s? of",
        ]
    )
    + r")\s+(?=\S)",
    re.IGNORECASE,
)
_ENDING = re.compile(
    r"(?:\s*[?!.,]+|,? please| (?:is|are|was|were)| (?:anywhere|here|somewhere|around)"
    r"| (?:in|on) (?:the|this) (?:picture|photo|image|frame|scene|view|camera))$",
    re.IGNORECASE,
)
_WHERE = re.compile(
    r" (?:(?:on|in|at|by|from|near|beside|behind|below|above|under|underneath|over|inside|outside|beneath|atop|against|around|among|between"
    r"|along|across|opposite|next to|close to|in front of|on top of|(?:on the )?(?:left|right) of)"
    r" (?:the|this|that|my|your|our|a|an|something|it|top|bottom|upper|lower|front|back|middle|centre|center)\b"
    r"(?! (?:left|right) (?:sign|plate|arrow)s?\b)"  # "pass on the right sign"
    r"|to the (?:left|right)\b|(?:far away|close by|nearby|in front|low in|high in|together)\b)",
    re.IGNORECASE,
)
# What a sentence goes on with after the thing: "my keys must be somewhere, try and find them", "the mug that has the kettle beside it".
_GOING_ON = re.compile(
    r"(?:,? (?:must|should|might|may|could|has to|have to|ought to|seems? to|appears? to|used to) (?:be|have)\b"
    r"|, (?:please |and |so |but |then |just )*(?:try|go|bring|get|fetch|take|find|look|search|tell|show|let|help|point|drive|check"
    r"|can you|could you|would you|will you)\b"
    r"| (?:that|which) (?:has|have) .+ (?:as (?:its|a) neighbou?rs?|(?:next to|beside|near|behind|in front of|above|below) (?:it|them))$"
    r"| (?:that|which) (?:is|are|stands?|sits?|lies?|hangs?)$)",
    re.IGNORECASE,
)
_SIZE = re.compile(
    r"^(?:(?:very|really) )?(?:small(?:er|est)?|tin(?:y|ier|iest)|little|big(?:ger|gest)?|large(?:r|st)?|huge),? (?=\S)", re.IGNORECASE
)
_WRITTEN = re.compile(
    r"\b(?:say|says|said|saying|read|reads|reading|text|words?|letters?|writing|written|numbers?|label|with)\b", re.IGNORECASE
)
_SOMEONE = re.compile(
    r"\b(?:man|men|woman|women|person|people|boy|girl|child|children|kid|guy|lady|worker|cyclist|rider|dog|cat)s?$", re.IGNORECASE
)


# What bears words, and what says that it does.
_BEARER = r"(?:sign|board|notice|label|plate|poster|banner|placard|billboard|box|package|door|screen|one|text|lettering|letters|words?)s?"
_WORDS_ARE = r"(?:written|printed|painted|spelled|spelt)"
_NO_WORDS = re.compile(
    rf"(?:{_DETERMINER}|what|which|that|something|anything|it|is|are|and|or|of|on|in|at|by|from|near|above|below|under|over|to|with|for)\b",
    re.IGNORECASE,
)
_SAID = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:{_BEARER}|that|which|it)(?: that| which)? (?:say|spell|read)(?:s|ing)? (?:the (?:text|words?) )?(?P<words>.+)$",
        rf"\b{_BEARER} with the (?:text|words?|letters|lettering|inscription) (?P<words>.+?)(?: on it)?$",
        rf"\bwhere (?P<words>.+) (?:is|are) {_WORDS_ARE}$",
        rf"\bwhere (?:is|are) (?P<words>.+) {_WORDS_ARE}$",
        rf"\b(?:has|with) (?P<words>.+) {_WORDS_ARE}(?: on it)?$",
    )
]
_TEXT = re.compile(r"(?:text|words?|lettering|letters|inscription) (?P<words>.+)$", re.IGNORECASE)
_ON_IT = re.compile(rf"\b{_BEARER} with (?P<words>[A-Z].*) on it$")
_QUOTED = re.compile(r"[\"\u201c\u201e\u00ab](?P<words>[^\"\u201c\u201d\u201e\u00ab\u00bb]+)[\"\u201d\u201c\u00bb]")
_SHORTEST = 4  # letters in capitals: TV, ATM and USB are things
SAYS = "sign that says "  # how a small model learned to be asked for written words


def written(query):
    """The words that a question says are written somewhere, in small letters, or None: "go to GATE 5" -> "gate 5"."""
    asked = " ".join(query.split())
    if len(asked) > LONGEST:
        return None
    if quoted := _QUOTED.search(asked):
        return _small(quoted)
    asked = _without_ending(asked)
    for said in _SAID:
        if (found := said.search(asked)) and not _NO_WORDS.match(found["words"]) and not _SOMEONE.search(asked[: found.start()]):
            return _small(found)
    if found := _ON_IT.search(asked):
        return _small(found)
    name, quoted = _without_asking(asked)
    if quoted:
        return name.lower()
    if (found := _TEXT.match(name)) and not _NO_WORDS.match(found["words"]):
        return _small(found)
    return _capitals(asked)


def words_asked(labels, settings):
    """For each of a question's labels the words that it says are written, or None; for a bundle of these manifest settings."""
    return tuple(written(label) if settings.plain_words else None for label in labels)


def _capitals(asked):
    """The last words of a question, where they are in capitals and not all is ("go to GATE 5"), in small letters, or None.

    After a determiner they name a thing with stress: "the RED TRUCK".
    """
    words = asked.split()
    last = list(takewhile(lambda word: all(c.isupper() or not c.isalpha() for c in word), reversed(words)))[::-1]
    name = " ".join(last)
    before = words[-len(last) - 1] if len(last) < len(words) else "the"
    told = not re.fullmatch(_DETERMINER, before, re.IGNORECASE) and sum(letter.isalpha() for letter in name) >= _SHORTEST
    return name.lower() if told else None


def _small(found):
    """None for numbers alone: "the speed limit sign that reads 40" is told by the rest."""
    words = found["words"].strip().lower()
    return words if any(letter.isalpha() for letter in words) else None


def plain(query):
    """The words that name the thing, never empty: "where is the small bird on the left?" -> "bird".

    Words that are written somewhere are asked for in one way, the one that models learn: "go to GATE 5" -> "sign that says gate 5".

    What is written ("the text on the billboard") keeps its place and size, and so does a person or an animal ("a man in a red coat", "a
    little girl"): there they tell one from another.
    """
    words = " ".join(query.split())
    if len(words) > LONGEST:
        return query
    if said := written(query):
        return SAYS + said
    words, _ = _without_asking(words)
    words = _without_ending(words)
    for clause in (_GOING_ON, _WHERE, _GOING_ON):  # the last: "the mug that is" of "the mug that is on the shelf"
        found = clause.search(words)
        if found and found.start() and not _told_apart(words[: found.start()]):
            words = words[: found.start()]
    size = _SIZE.match(words)
    if size and not _told_apart(words):
        words = words[size.end() :]
    return words


def _without_asking(words):
    """(words without those that ask, whether what is left was said to be written: "where does it say ...")."""
    quoted = False
    while not quoted and (asking := _ASKING.match(words)):
        words = words[asking.end() :]
        quoted = asking.group().lower().endswith(("say ", "read "))
    return words, quoted


def _without_ending(words):
    while (ending := _ENDING.search(words)) and ending.start():
        words = words[: ending.start()]
    return words


def _told_apart(words):
    """Whether one such thing is told from another by where it is or how large."""
    return bool(_WRITTEN.search(words) or _SOMEONE.search(words))
