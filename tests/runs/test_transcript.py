"""Episodes of several turns as a reader sees them: who spoke, what was judged, and which tokens carry credit."""

from __future__ import annotations

import random

from reasonrl.runs.reading import Run
from reasonrl.runs.samples import SampleFilter
from reasonrl.runs.token_credit import checkpoint_decoder, has_token_credit, texts_of_tokens, token_credit
from reasonrl.runs.transcript import other_judged_text, transcript
from tests.runs.fake_run import TURNS, fake_header, fake_sample, fake_tokenizer, fake_turns_sample, write_rows


def test_a_transcript_says_who_spoke_how_long_and_what_was_judged():
    turns = transcript(fake_turns_sample())
    assert [(turn.speaker, turn.length) for turn in turns] == [
        ("policy, turn 1", "9 tokens"),
        ("user (environment)", "8 tokens, not trained"),
        ("policy, turn 2", "2 tokens"),
    ]
    assert [turn.text for turn in turns] == [text for _, text in TURNS]
    assert [turn.judged for turn in turns] == [False, False, True]


def test_the_loss_mask_says_who_spoke_where_roles_do_not():
    row = fake_turns_sample()
    roles = ("asker", "user", "solver")
    row["turns"] = [turn | {"role": role} for turn, role in zip(row["turns"], roles, strict=True)]
    assert [turn.by_policy for turn in transcript(row)] == [True, False, True]
    assert [turn.speaker for turn in transcript(row)] == ["asker, turn 1", "user (environment)", "solver, turn 2"]


def test_an_empty_turn_is_attributed_by_its_role():
    row = fake_turns_sample()
    empty = [{"role": role, "text": "", "tokens": 0} for role in ("policy", "user")]
    row["turns"] = [*row["turns"][:2], *empty, row["turns"][2]]
    assert [turn.by_policy for turn in transcript(row)] == [True, False, True, False, True]


def test_a_row_of_an_evaluation_has_no_mask_and_the_last_turn_is_the_policys():
    row = fake_turns_sample(kind="eval")
    del row["loss_mask"]
    assert [turn.by_policy for turn in transcript(row)] == [True, False, True]


def test_of_equal_turns_the_last_one_was_judged():
    row = fake_turns_sample()
    row["turns"] = [turn | {"text": "12"} for turn in row["turns"]]
    assert [turn.judged for turn in transcript(row)] == [False, False, True]


def test_a_text_that_is_not_a_turn_is_shown_as_what_was_judged():
    row = fake_turns_sample(response="Is it 9? 12")
    assert other_judged_text(row, transcript(row)) == "Is it 9? 12"
    row = fake_turns_sample()
    assert other_judged_text(row, transcript(row)) is None


def test_without_a_verdict_nothing_was_judged():
    row = fake_turns_sample(verdicts={})
    assert not any(turn.judged for turn in transcript(row))
    assert other_judged_text(row, transcript(row)) is None


def test_a_single_turn_is_not_a_transcript():
    assert transcript(fake_sample()) == []
    assert transcript(fake_sample(turns=[{"role": "policy", "text": " 12", "tokens": 2}])) == []


def test_tokens_of_the_environment_have_no_advantage(tmp_path):
    fake_header(tmp_path)
    fake_tokenizer(tmp_path)
    parts = token_credit(fake_turns_sample(), checkpoint_decoder(Run.open(tmp_path)))
    assert [turn.role for turn, _ in parts] == ["policy", "user", "policy"]
    assert ["".join(token.text for token in tokens) for _, tokens in parts] == [text for _, text in TURNS]
    assert [{token.advantage for token in tokens} for _, tokens in parts] == [{-1.0, 0.5}, {None}, {0.5}]


def test_tokens_are_shown_without_a_tokenizer_and_without_turns(tmp_path):
    fake_header(tmp_path)
    assert checkpoint_decoder(Run.open(tmp_path)) is None
    row = fake_sample(response_ids=[5, 6], token_advantages=[0.25, -0.25])
    [(turn, tokens)] = token_credit(row, None)
    assert turn is None and [(token.id, token.text, token.advantage) for token in tokens] == [
        (5, None, 0.25),
        (6, None, -0.25),
    ]


def test_turns_that_leave_out_tokens_are_not_guessed():
    row = fake_turns_sample()
    row["turns"][1]["tokens"] = 3
    [(turn, tokens)] = token_credit(row, None)
    assert turn is None and sum(token.advantage is None for token in tokens) == 8


def test_rows_without_credit_for_tokens_have_none():
    for row in (fake_sample(), fake_sample(response_ids=[1, 2])):
        assert not has_token_credit(row) and token_credit(row, None) == []


def test_a_character_of_several_tokens_appears_once(tmp_path):
    """Bytes of one character: only the last of them has text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({character: i for i, character in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    fake_header(tmp_path)
    fake_tokenizer(tmp_path)
    tokenizer.save(str(tmp_path / "checkpoints/step-000001/tokenizer.json"))
    decode = checkpoint_decoder(Run.open(tmp_path))
    assert decode(tokenizer.encode("a \u221e b").ids) == ["a", " ", "", "", "\u221e", " ", "b"]


def test_bytes_that_are_not_a_character_are_shown():
    """A policy may sample any bytes; byte tokens of SentencePiece, whose decoder also strips the first space."""
    from tokenizers import Tokenizer, decoders, models

    pieces = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"\u2581a": 256, "b": 257}
    tokenizer = Tokenizer(models.BPE(pieces, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    source = random.Random(0)
    for _ in range(200):
        ids = [source.randrange(258) for _ in range(30)]
        texts = texts_of_tokens(ids, tokenizer.decode)
        assert len(texts) == len(ids)
        assert all(text.endswith("b") for text, id_ in zip(texts, ids, strict=True) if id_ == 257)
    assert texts_of_tokens([257, 256, 0xC3, 0xA9, 256, 0xC3], tokenizer.decode) == [
        "b",
        " a",
        "",
        "\u00e9",
        " a",
        "\ufffd",
    ]


def test_text_of_any_turn_is_searched(tmp_path):
    write_rows(tmp_path / "samples.jsonl", [fake_turns_sample(), fake_sample(rollout=1)])
    fake_header(tmp_path)
    run = Run.open(tmp_path)
    for text in ("is it 9", "too LOW"):
        [row] = run.samples.rows(SampleFilter(text=text))
        assert "turns" in row
        assert [len(group) for group in run.samples.groups(SampleFilter(text=text))] == [1]
