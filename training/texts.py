"""What the corpus says: sentences put together from the words below, and nonsense words that meet every consonant with every vowel."""

from __future__ import annotations

import random

_SUBJECTS = """the boy|my brother|a small bird|the old farmer|Peter|Mary and Bob|the president|your favourite teacher|a big brown bear|this machine|nobody|the people from
the village|our best friend|the captain|every child|the woman in blue|some members of the club|the famous painter|her husband|the company|I|we|you|they|somebody
new|the black puppy|Barbara|a wise professor|the weather man|my grandmother|the baker and his wife|those five sheep|a very tall policeman|the mayor of Plymouth""".replace(
    "\n", " "
).split("|")
_VERBS = """put|brought|might buy|has been painting|will remember|must have found|pushed|carried|would rather give up|watched|keeps moving|opened|tried to fix|promised|believes in|jumped over|
wrote about|talked with|should improve|never saw|bumped into|is looking for|lost|won|thought of|choose|measured|enjoyed|washed|cut up|threw away|picked|dropped|voted for|laughed at|sold""".replace(
    "\n", " "
).split("|")
_OBJECTS = """the map of the bay|a pot of warm soup|some apples and plums|five large boxes|a piece of paper|the lamp above the table|a bottle of water|an important problem|both of them|
the shape of the moon|a thousand books|my blue umbrella|the number of people|a cup of very good coffee|his own opinion|the whole world|a job in the museum|these gold rings|the beach at noon|
a yellow flower|the judge|two pairs of brown shoes|a beautiful old house|the rhythm of the music|a bag full of mushrooms|the measure of pleasure|a simple rule|the roof|nothing but smoke|
the boat in the harbour|a lovely melody|their family|the third chapter|a view over the valley|my computer|the number seven|an empty room|the garage door""".replace(
    "\n", " "
).split("|")
_PLACES = """in the morning|before breakfast|near the window|without any help|at half past four|because of the rain|on the way home|by the river|from time to time|in the middle of September|
after the show|with a deep voice|beyond the mountains|as if by magic|for the first time|under the bridge|during the summer|quite often|once again|in a moment|at the bottom of the page""".replace(
    "\n", " "
).split("|")
_PHRASES = """Hello, how are you today?|Thank you very much for calling.|Please hold on for a moment.|I am sorry, could you repeat that?|What a wonderful surprise!|Yes, of course.|No problem at all.|
Maybe tomorrow, maybe never.|Good morning, everybody, and welcome.|My name is Bob, and I will be your guide.|That is impossible, but possible to improve.|Give me a break.|Bye bye for now.|
Why would you want to move away?|We will move the meeting to the eighth of November.|Let me explain how this works.|How about a cup of tea and a piece of pie?|The quick brown fox jumps over the lazy dog.|
Pack my box with five dozen liquor jugs.|Mum and Pop made up a simple plan.|Who knows where the road goes?|The ship should be in the harbour by Wednesday.|Are you sure you saw the same show?|
Both of us have to be there by half past five.|Bob may buy a map, a pipe and a bamboo mat.|The beaver bit the paper bag.|A member of the public spoke about climate, labour and power.|
You choose: a huge blue balloon or a small green one.|Forty five of the vans have never been driven.|Very few of the waves are above five feet.|I really love rural Wales.""".replace(
    "\n", " "
).split("|")

_ONSETS = "p b m f v t d n l k g s r h w y sh ch j th z br pl sm st tr kl fr gr bl sp".split()
_SIMPLE_ONSETS = "p b m f v t d n l k g s r h p b m f v".split()
_NUCLEI = "a e i o u ee oo ai ow oi".split()
_SIMPLE_NUCLEI = "a e i o u a e o".split()
_CODAS = ["", "", "", "m", "n", "p", "b", "t", "k", "s", "f", "v", "l", "r", "mp", "mb", "nt", "nd", "ng", "sh"]


def _sentence(rng: random.Random) -> str:
    parts = [rng.choice(_SUBJECTS), rng.choice(_VERBS), rng.choice(_OBJECTS)]
    if rng.random() < 0.6:
        parts.append(rng.choice(_PLACES))
    if rng.random() < 0.25:
        parts.insert(0, rng.choice(_PLACES) + ",")
    text = " ".join(part.strip() for part in parts)
    return text[0].upper() + text[1:] + rng.choice([".", ".", ".", "?", "!"])


def _word_list(rng: random.Random, words: list[str]) -> str:
    chosen = [rng.choice(words) for _ in range(rng.randint(5, 9))]
    if rng.random() < 0.5:
        chosen[len(chosen) // 2] += ","
    return " ".join(chosen) + "."


def nonsense(rng: random.Random, *, simple: bool = True) -> str:
    """Return a sentence of made-up words; `simple` syllables can be read in the spelling of most languages."""
    words = []
    for _ in range(rng.randint(4, 8)):
        syllables = rng.randint(1 if not simple else 2, 3)
        if simple:
            word = "".join(rng.choice(_SIMPLE_ONSETS) + rng.choice(_SIMPLE_NUCLEI) for _ in range(syllables)) + rng.choice(
                ["", "", "n", "s", "l", "r"]
            )
        else:
            word = "".join(rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(min(2, syllables)))
        words.append(word)
    if rng.random() < 0.4:
        words[len(words) // 2] += ","
    return " ".join(words).capitalize() + "."


def english(rng: random.Random, words: list[str]) -> str:
    """Return something to say in English; `words` is a dictionary's list, which may be empty."""
    kind = rng.random()
    if kind < 0.15:
        return rng.choice(_PHRASES).strip()
    if kind < 0.55 or (kind < 0.8 and not words):
        return _sentence(rng)
    if kind < 0.85:
        return _word_list(rng, words)
    return nonsense(rng, simple=False)
