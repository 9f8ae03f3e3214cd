"""Small model folders with a tokenizer and a chat template to order: what a user may have under `model.path`.

    folder = make_model(tmp_path / "model", template="chatml", thinking="special", end_ids=[1, "<|im_end|>"])

The weights are those of a random Llama of about 0.05 M parameters. `teach` makes it answer what a test needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

Kind = Literal["characters", "words", "bytes", "sentencepiece"]
ASCII = [*map(chr, range(32, 127)), "\n"]
WORDS = ["What", "is", "the", "answer", "sum", "Let", "me", "think", "\\boxed{"]

_EACH = "{% for message in messages %}"
_END = "{% endfor %}"
_REFUSE_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
_ALTERNATE = (
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
)
CHAT = (
    _EACH
    + "<{{ message['role'] }}>{{ message['content'] }}<end>"
    + _END
    + "{% if add_generation_prompt %}<assistant>{% endif %}"
)
CHATML = (
    _EACH
    + "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    + _END
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEMPLATES: dict[str, str | None] = {
    "none": None,
    "chat": CHAT,
    "chatml": CHATML,
    "no_system": _REFUSE_SYSTEM + CHAT,
    "alternate": CHAT.replace(_EACH, _EACH + _ALTERNATE),
    "broken": CHAT.removesuffix("{% endif %}"),
    "undefined": CHAT.replace("message['content']", "message.content.text.strip()"),
    "parts": CHAT.replace(
        "{{ message['content'] }}", "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}"
    ),
    "wrong_type": CHAT.replace("message['content']", "message['content'] + 1"),
    "opens_think": CHAT.replace("<assistant>{% endif %}", "<assistant><think>\n{% endif %}"),
    "adds_bos": "{{ bos_token }}" + CHAT,
    "trims": CHAT.replace("message['content']", "message['content'] | trim"),
    "drops_thinking": CHAT.replace(
        "message['content']",
        "message['content'].split('</think>')[-1] if message['role'] == 'assistant' else message['content']",
    ),
}
"""Chat templates by name. `chat` writes <user>, <assistant> and <end> as plain characters."""


def make_tokenizer(
    *,
    kind: Kind = "characters",
    template: str | None = "chat",
    thinking: Literal["special", "added", "plain"] = "plain",
    special: Sequence[str] = (),
    added: Sequence[str] = (),
    pad: str | None = "<pad>",
    eos: str | None = "<eos>",
    bos: bool = False,
    adds_bos: bool = False,
    adds_eos: bool = False,
    cleans_spaces: bool = False,
) -> Any:
    """A fast tokenizer. Ids 0 to 3 are <pad>, <eos>, <unk> and <s>.

    Args:
        kind: `characters` and `words` keep text as it is; `bytes` is the byte-level BPE of GPT-2 without merges;
            `sentencepiece` writes spaces as a mark, as Llama 2 does.
        template: a name of TEMPLATES, or a template.
        thinking: <think> and </think> are special tokens, added tokens that are not special (as in Qwen3), or plain
            characters.
        special: further special tokens; ChatML's are added by themselves.
        added: further tokens that are not special.
        pad: the padding token; "<eos>" takes the end token for both.
        bos: <s> is the tokenizer's bos_token. `adds_bos` and `adds_eos` write them around every text.
        cleans_spaces: decoding takes the spaces before punctuation out, as tokenizers of old checkpoints do.
    """
    from tokenizers import AddedToken, processors
    from transformers import PreTrainedTokenizerFast

    core = _core(kind)
    single = [*(["<s>"] if adds_bos else []), "$A", *(["<eos>"] if adds_eos else [])]
    if len(single) > 1:
        core.post_processor = processors.TemplateProcessing(
            single=" ".join(single), special_tokens=[("<s>", 3), ("<eos>", 1)]
        )
    has_bos = bos or adds_bos
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=pad,
        eos_token=eos,
        unk_token="<unk>",
        bos_token="<s>" if has_bos else None,
        clean_up_tokenization_spaces=cleans_spaces,
    )
    text = TEMPLATES.get(template, template) if template is not None else None
    chatml = ["<|im_start|>", "<|im_end|>"] if text is not None and "<|im_start|>" in text else []
    tags = ["<think>", "</think>"]
    made.add_tokens(
        [
            *(
                AddedToken(token, special=True)
                for token in [*chatml, *special, *(tags if thinking == "special" else [])]
            ),
            *(AddedToken(token, special=False) for token in [*added, *(tags if thinking == "added" else [])]),
        ]
    )
    if text is not None:
        made.chat_template = text
    return made


def make_model(
    folder: Path,
    *,
    end_ids: Sequence[int | str] = (1,),
    missing_rows: int = 0,
    more_rows: int = 0,
    tied: bool = False,
    nan: bool = False,
    seed: int = 0,
    positions: int = 512,
    **tokenizer_options: Any,
) -> Path:
    """Write a model with its tokenizer into `folder`, and return it.

    Args:
        end_ids: `eos_token_id` of generation_config.json, as ids or tokens; none: no such key.
        missing_rows: the embedding has so many rows fewer than the tokenizer has tokens; `more_rows`: so many more.
        tied: the head is the embedding.
        nan: one weight is NaN.
        tokenizer_options: see `make_tokenizer`.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(**tokenizer_options)
    ends = [tokenizer.convert_tokens_to_ids(end) if isinstance(end, str) else end for end in end_ids]
    config = LlamaConfig(
        vocab_size=len(tokenizer) - missing_rows + more_rows,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        tie_word_embeddings=tied,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=ends[0] if len(ends) == 1 else ends or None,
        bos_token_id=tokenizer.bos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = LlamaForCausalLM(config)
    if nan:
        with torch.no_grad():
            model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def teach(folder: Path, answers: Mapping[str, str], *, steps: int = 150, lr: float = 1e-2) -> Path:
    """Train a model of `make_model` until it answers each prompt text with its answer, and save it again.

    Prompts and answers are encoded without what the tokenizer adds: write the end token into the answer. Raises
    AssertionError where the greedy answer is another one afterwards.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    rows = []
    for prompt, answer in answers.items():
        head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        rows.append((head, tokenizer(answer, add_special_tokens=False)["input_ids"]))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        for head, tail in rows:
            labels = torch.tensor([[-100] * len(head) + tail])
            loss = model(input_ids=torch.tensor([head + tail]), labels=labels).loss
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss < 1e-3:
            break
    for head, tail in rows:
        logits = model(input_ids=torch.tensor([head + tail])).logits[0, len(head) - 1 : -1]
        assert logits.argmax(-1).tolist() == tail, "the answer was not learnt: raise steps"
    model.save_pretrained(folder)
    return folder


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _core(kind: Kind) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    base = ["<pad>", "<eos>", "<unk>", "<s>"]
    if kind == "bytes":
        vocabulary = {token: i for i, token in enumerate([*base, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
        core = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
    elif kind == "sentencepiece":
        vocabulary = {token: i for i, token in enumerate([*base, "▁", *ASCII[1:]])}
        core = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        core.decoder = decoders.Metaspace(prepend_scheme="first")
    else:
        words = WORDS if kind == "words" else []
        vocabulary = {token: i for i, token in enumerate([*base, *ASCII, *words])}
        core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        pieces = [re.escape(word) for word in sorted(words, key=len, reverse=True)]
        core.pre_tokenizer = pre_tokenizers.Split(Regex("|".join([*pieces, r"[\s\S]"])), "isolated")
        core.decoder = decoders.Fuse()
    core.add_special_tokens(base)
    return core
