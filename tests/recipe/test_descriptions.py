"""Every key has a description that users can read: the reference of keys is made of them."""

from __future__ import annotations

import re

import pytest

from reasonrl.recipe.reference import Key, Section, sections

VERBS = frozenset(
    re.findall(
        r"\w+",
        """
        adds are becomes asked assigns begins choose come comes computes configure considers continues corrupts counts
        criticises decide decides decodes describe detects draws earns ends evaluated exceeds fails follow follows get
        gets gives goes has have holds is judges keeps learn learns leaves looks loses makes means needs read reads
        refines replace replaces returns rewards rise rises run runs samples say says sends set shows split starts stop
        stops switches take takes train use uses warns was were write writes
        """,
    )
)
"""Words that can be the verb of a description. Where a description has a verb that is missing here, add it."""
SECTIONS = sections()
KEYS = {key.path: key for section in SECTIONS for key in section.keys}


def faults(description: str) -> list[str]:
    """Why a description is not a text of whole sentences; empty where it is."""
    clause = re.split(r"[.:;]\s", re.sub(r"`[^`]*`", "It", description), maxsplit=1)[0]
    messages = []
    if not re.match(r"[A-Z`]", description):
        messages.append("begins with a small letter")
    if not description.endswith("."):
        messages.append("has no period at its end")
    if not VERBS & set(re.findall(r"[a-z]+", clause.lower())):
        messages.append("has no verb in its first clause")
    return messages


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_every_key_is_described_in_whole_sentences(key: Key) -> None:
    assert not faults(key.description), f"{key.path}: {key.description!r}"


@pytest.mark.parametrize(
    ("description", "fault"),
    [
        ("The learning rate.", "verb"),
        ("the model learns at this rate.", "small letter"),
        ("The model learns at this rate", "period"),
        ("TIS: weights are clipped to at most this.", "verb"),
        ("`tis`: weights are clipped.", "verb"),
        ("", "verb"),
    ],
)
def test_half_a_sentence_is_a_fault(description: str, fault: str) -> None:
    assert any(fault in message for message in faults(description))


@pytest.mark.parametrize("section", SECTIONS, ids=[section.path or "top" for section in SECTIONS])
def test_every_section_has_a_description(section: Section) -> None:
    assert section.description.endswith(".")
    assert section.keys


def test_the_reference_has_every_key() -> None:
    assert len(KEYS) > 200
    assert {"train.kl.coefficient", "data.heldout.NAME.source", "critic.refine.actor.model", "name"} <= set(KEYS)
