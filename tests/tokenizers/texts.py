# SPDX-License-Identifier: Apache-2.0
"""Random texts for comparing tokenizers: what people write in many scripts, and what nobody writes on purpose."""

WORDS = ("the quick brown fox jumps over lazy dog it's I'LL we've don't can't Hello World TEST 'S 'Re naïve café Straße "
         "ﬁne Ǆ İstanbul ΑΣ ς привет мир Ёлка 日本語 カタカナ ひらがな 한국어 각 안녕 مرحبا שלום हिन्दी क्षि ไทย ∑∀ Ⅷ ½ x² 123 4567 "
         "٣٤٥ 3.14 1e-9 <s> </s> <mask> [MASK] <|endoftext|> ##ing ... !!! ?! -- __init__ a.b/c\\d {x:1} 👍🏽 👨‍👩‍👧 é e\u0301 a\u0300\u0316b "
         "\u1e9b\u0323 ① ﷺ Å ﹏ ＡＢＣ １２３ \u200b \u200d \ufeff \xa0 \u3000 \u2028 \x85 \x00 \x01 \x7f \ufffd ▁ ▁▁ Ġ ſ 'ſ K").split(" ")
SPACES = [" ", " ", " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", " \n ", "\u3000", "\xa0", ""]
ALL_SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
BLOCKS = [0xA0, 0x100, 0x180, 0x250, 0x2B0, 0x300, 0x370, 0x400, 0x530, 0x590, 0x600, 0x700, 0x780, 0x900, 0x980, 0xA00, 0xB80, 0xC00, 0xD00, 0xE00, 0xE80,
          0xF00, 0x1000, 0x10A0, 0x1100, 0x1200, 0x13A0, 0x1400, 0x1680, 0x1780, 0x1800, 0x1A00, 0x1AB0, 0x1B00, 0x1CD0, 0x1D00, 0x1DC0, 0x1E00, 0x1F00,
          0x2000, 0x2060, 0x20D0, 0x2100, 0x2150, 0x2460, 0x2600, 0x2C00, 0x2D00, 0x2E80, 0x3000, 0x3040, 0x30A0, 0x3130, 0x3200, 0x3300, 0x4E00, 0x9FA0,
          0xA000, 0xA640, 0xA700, 0xA800, 0xA8E0, 0xA9E0, 0xAA00, 0xAB30, 0xAC00, 0xD750, 0xD7B0, 0xF900, 0xFB00, 0xFB50, 0xFDF0, 0xFE00, 0xFE70, 0xFF00,
          0xFFF0, 0x10000, 0x10400, 0x10A00, 0x11000, 0x11100, 0x16A00, 0x1D100, 0x1D400, 0x1D7C0, 0x1E000, 0x1E900, 0x1F100, 0x1F300, 0x1F600, 0x1F900,
          0x20000, 0x2F800, 0xE0000, 0xE0100]
# Characters of the youngest versions of Unicode (15.1, 16, 17), where tables of different ages differ.
NEWEST = [(0x2FFC, 0x2FFF), (0x31EF, 0x31EF), (0x2EBF0, 0x2EE5D), (0x897, 0x897), (0x1C89, 0x1C8A), (0xA7CB, 0xA7CD), (0xA7DA, 0xA7DC), (0x105C0, 0x105F3),
          (0x10D40, 0x10D8F), (0x10EC2, 0x10EC4), (0x11380, 0x113E2), (0x116D0, 0x116E3), (0x11BC0, 0x11BF9), (0x13460, 0x1347F), (0x16100, 0x16139),
          (0x16D40, 0x16D79), (0x1CC00, 0x1CCF9), (0x1E5D0, 0x1E5FF), (0x1FA89, 0x1FAE9), (0x88F, 0x88F), (0xC5C, 0xC5C), (0x1ACF, 0x1ADD), (0x20C1, 0x20C1),
          (0xA7CE, 0xA7D4), (0x10940, 0x10959), (0x11B60, 0x11B67), (0x11DB0, 0x11DD9), (0x16EA0, 0x16ED3), (0x1E6C0, 0x1E6FF), (0x323B0, 0x323FF)]
EMOJI = "👍 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 🇩 1️⃣ ❤️ ❤ 🧑🏿‍🦰 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f 😀 🫩 🤷‍♂️ \ufe0f \u200d 🏽".split(" ")
MARKS = "\u0300\u0301\u0302\u0303\u0308\u0316\u031b\u0323\u0327\u0328\u0338\u0345\u0591\u05b0\u064b\u0651\u093c\u094d\u0e38\u0f71\u0f72\u1dc0\u20d0\u3099\u302a\ufe20\U000110ba\U0001d165\U0001d16d"
ODD = ["\ufdd0", "\ufffe", "\uffff", "\U0001fffe", "\U0010ffff", "\ufff9", "\u0378", "\U000e0001", "\u034f", "\u061c", "\u2066", "\u202e", "\ufffd", "\u180b",
       "\ud7ff", "\ue000", "\uf8ff", "\U000f0000", "\U00100000", "\u0130", "\u0131", "\u1e9e", "\u212a", "\u2126", "\u03a3", "\u0345", "\u01c5", "\u10d0", "\u1c90",
       "\u13a0", "\uab70", "\u1fd3", "\u0344", "\u0958", "\u2adc", "\ufb1d", "\u1109\u1161\u11a8", "\u0b92\u0bd7", "\u0cca", "\U0001134b", "\U00011938"]


def word(rng, names):
    k = rng.random()
    if k < 0.34: return rng.choice(WORDS)
    if k < 0.48: return "".join(chr(rng.randrange(33, 127)) for _ in range(rng.randrange(1, 9)))
    if k < 0.58:
        base = rng.choice(BLOCKS)
        return "".join(chr(base + rng.randrange(0, 96)) for _ in range(rng.randrange(1, 6)))
    if k < 0.62:
        a, b = rng.choice(NEWEST)
        return "".join(chr(rng.randrange(a, b + 1)) for _ in range(rng.randrange(1, 4)))
    if k < 0.66: return "".join(rng.choice(EMOJI) for _ in range(rng.randrange(1, 4)))
    if k < 0.70: return rng.choice(WORDS) + "".join(rng.choice(MARKS) for _ in range(rng.randrange(1, 6))) + rng.choice(["", "a", "क", "각"])
    if k < 0.74: return rng.choice(ODD) + rng.choice(["", "x", rng.choice(ODD)])
    if k < 0.77: return "".join(rng.choice(ALL_SPACES) for _ in range(rng.randrange(1, 7)))
    if k < 0.80: return chr(rng.randrange(0, 32)) * rng.randrange(1, 3)
    if k < 0.84: return rng.choice(["%d", "-%d", "%d.5", "%d,000", "0x%x", "%de10", "%d%%"]) % rng.randrange(0, 10 ** rng.randrange(1, 10))
    if k < 0.86: return rng.choice(["a", " ", "é", "한", "\n", "\r\n", "ab", "0", "👍", "\u0301", "_", "'", "!", "\t", "ab ", ". "]) * rng.randrange(2, 60)
    if k < 0.94 and names:
        s = rng.choice(names)
        j = rng.random()
        if j < 0.3: return s
        if j < 0.5: return rng.choice(WORDS) + s + rng.choice(WORDS)
        if j < 0.6: return rng.choice(SPACES) + s + rng.choice(SPACES)
        if j < 0.7: return s + rng.choice(names)
        if j < 0.8: return s[:rng.randrange(len(s) + 1)]
        if j < 0.9: return s.upper() if rng.random() < 0.5 else s.lower()
        return s * rng.randrange(2, 5)
    return rng.choice(["'s", "'T", "'ll", ",", ".", "ing", "un", "0", "99", "\u0301", "Z", "don't", " .", "n't", "\\", "\"", "~", "`", "|", "@-@"])


def text(rng, names=()):
    """names: the added tokens of the tokenizer, which the texts mention often."""
    out = []
    for _ in range(rng.choice([0, 1, 1, 2, 3, 4, 5, 6, 8, 10, 14])):
        out.append(word(rng, names))
        out.append(rng.choice(SPACES))
    return "".join(c for c in "".join(out) if not 0xD800 <= ord(c) < 0xE000)


def corpus(rng, n=400):
    return [text(rng) for _ in range(n)]
