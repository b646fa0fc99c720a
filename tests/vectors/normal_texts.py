"""Texts that are normal and texts that are not, each named for what it shows (ADR 0025).

A text stands as it would between the quotes of a JSON string. What is normal is written here by
hand, not computed; every implementation is held against it.
"""

from __future__ import annotations

from typing import Final

NORMAL: Final = {
    "empty": "",
    "composed": "caf\u00e9",
    "chinese": "\u56e2\u8bfe\u5361",
    "hangul-syllable": "\uac00",
    "mark-without-base": "\u0301",
    "cjk-extension-b-of-3.1": "\U00020bb7",
    "unified-ideograph-of-14": "\u9fff",
    "cjk-extension-e-of-8": "\U0002cb4a",
    "cjk-extension-h-of-15": "\U00031350",
    "cjk-extension-j-of-17": "\U000323b0",
    "emoji-joined": "\U0001f469\U0001f3fd\u200d\U0001f9b0",
    "noncharacter": "\uffff",
    "private-use": "\ue000",
    "never-assigned": "\U000e0fff",
    "later-compatibility-ideograph-of-4.1": "\ufa70",
    "later-pair-composed-since-13": "\U00011935\U00011930",
    "later-pair-composed-since-16": "\U00016d67\U00016d67",
    "later-mark-of-4.1-before-a-lower-one": "a\u1dc4\u0323",
    "later-mark-of-15-before-a-lower-one": "a\U0001e08f\u0323",
    "later-mark-between-letter-and-accent": "e\u1dc2\u0301",
    "later-ideograph-between-letter-and-accent": "e\U0002cb4a\u0301",
}

NOT_NORMAL: Final = {
    "decomposed": "cafe\u0301",
    "marks-out-of-order": "b\u0301\u0323",
    "angstrom-sign": "\u212b",
    "compatibility-ideograph": "\uf900",
    "compatibility-ideograph-corrected-in-4": "\U0002f868",
    "excluded-from-composition": "\u0958",
    "hangul-letters": "\u1100\u1161",
    "mark-after-an-escape": "\\n\u0301",
    "decomposed-after-a-later-ideograph": "\U0002cb4ae\u0301",
    "decomposed-before-a-later-mark": "e\u0301\u1dc4",
    "marks-out-of-order-after-a-later-one": "\u1dc4\u0301\u0323",
}


def list_normal_texts() -> list[dict[str, str | bool]]:
    """Return every text with its name, and whether it is normal."""
    return [
        {"name": name, "text": text, "normal": normal}
        for texts, normal in ((NORMAL, True), (NOT_NORMAL, False))
        for name, text in texts.items()
    ]
