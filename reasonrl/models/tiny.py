"""Random Llamas small enough to be trained on a CPU in minutes. They know nothing until a supervised phase has taught
them something.

`tiny-arithmetic`: 0.2 M parameters whose tokens are single characters, for tests and the smoke recipe. `tiny-critic`:
0.8 M parameters with a chat template, for the critics' recipes. Its tokens are characters too, except for numbers up to
99 and the phrases of a critique, which are one token each: a critique of three steps takes 40 tokens instead of 250.

`tiny-programs`: 0.8 M parameters for expressions of Python, whose operators and numbers up to 99 are one token each.
`tiny-program-critic`: the same with a chat template and the phrases of a critique, for critics of such programs.
`tiny-tools`: 0.8 M parameters that write calls of tools, whose digits are one token each, so that results are copied.
`tiny-proofs`: 0.8 M parameters for proofs as terms of Lean, whose words are one token each.

Made in memory from a seed; nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NAME = "tiny-arithmetic"
CRITIC = "tiny-critic"
PROGRAMS = "tiny-programs"
PROGRAM_CRITIC = "tiny-program-critic"
TOOLS = "tiny-tools"
PROOFS = "tiny-proofs"
CHARACTERS = "0123456789+-*/=?()., :\nQA"
ASCII = "".join(map(chr, range(32, 127))) + "\n"
NUMBERS = tuple(map(str, range(10, 100)))
PHRASES = (
    "Step sentence: ",
    "Correctness of the step: ",
    "Correctness of the final answer: ",
    "Explanation: ",
    "<Answer>",
    "</Answer>",
    "Judgement: ",
    "Suggestions: ",
    "Correct",
    "Incorrect",
    "Wrong",
    "<solution>\n",
    "\n</solution>",
    "<steps>\n",
    "\n</steps>",
    "<step>\n",
    "\n</step>",
    "\\boxed{",
    " + ",
    " - ",
    " = ",
    "<|user|>",
    "<|assistant|>",
    "Check.",
    "Again.",
    "Spoil.",
)
CODE = (
    *(f"-{number}" for number in range(1, 100)),
    "def f(x): return ",
    "def f(x, y): return ",
    *(f"{start}f({x}) == " for start in ("", "\n") for x in range(10)),
    *(f"{start}f({x}, {y}) == " for start in ("", "\n") for x in range(10) for y in range(10)),
    ", ",
    *(f" {operator} " for operator in ("+", "-", "*", "**", "//", "%", "<", ">", "<=", ">=", "==", "!=")),
    " if ",
    " else ",
    "abs(",
    "max(",
    "min(",
)
CRITIQUES_OF_CODE = (
    "Problem:\n",
    "\n\nSolution:\n",
    "\n\n",
    "<solution>\n",
    "\n</solution>",
    "\n\\conclusion{T}",
    "\n\\conclusion{F}",
    "This is no program.",
    "error",
    "<|user|>",
    "<|assistant|>",
    "Check.",
    "Again.",
)
CALLS = (
    "Call: ",
    "Result: ",
    "error: ",
    "```python\n",
    "\n```",
    "\n```output",
    "for ",
    " in ",
    "range(",
    "print(",
    "sum(",
)
LOGIC = (
    "theorem t (p q r : Prop) : ",
    " :=\n",
    " → ",
    "And ",
    "Or ",
    "False",
    *(f"fun h{level} => " for level in range(1, 13)),
    *(f"h{level}" for level in range(1, 13)),
    "And.intro ",
    "Or.inl ",
    "Or.inr ",
    "Or.elim ",
    "False.elim ",
    ".left",
    ".right",
)
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}{% else"
    " %}<|user|>{{ message['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    layers: int
    width: int
    inner: int
    heads: int
    positions: int
    vocabulary: tuple[str, ...]
    chat_template: str | None = None
    initial_std: float = 0.02
    """Of the random weights. One over the root of the width lets attention begin to work sooner."""


MODELS = {
    NAME: Shape(2, 96, 256, 4, 512, tuple(CHARACTERS)),
    CRITIC: Shape(4, 128, 384, 4, 512, (*ASCII, *NUMBERS, *PHRASES), TEMPLATE),
    PROGRAMS: Shape(4, 128, 384, 4, 512, (*ASCII, *NUMBERS, *CODE), initial_std=0.08),
    PROGRAM_CRITIC: Shape(
        4, 128, 384, 4, 512, (*ASCII, *NUMBERS, *CODE, *CRITIQUES_OF_CODE), TEMPLATE, initial_std=0.08
    ),
    TOOLS: Shape(4, 128, 384, 4, 512, (*ASCII, *CALLS), initial_std=0.08),
    PROOFS: Shape(4, 128, 384, 4, 512, (*ASCII, *LOGIC), initial_std=0.08),
}


def build_tokenizer(name: str = NAME) -> Any:
    """Characters and phrases, longest first, with <pad>, <eos> and <unk>; text of the characters that are known
    round-trips.
    """
    import re

    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    shape = MODELS[name]
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", "<unk>", *shape.vocabulary])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    phrases = [re.escape(piece) for piece in sorted(shape.vocabulary, key=len, reverse=True) if len(piece) > 1]
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("|".join([*phrases, r"[\s\S]"])), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
    if shape.chat_template is not None:
        fast.chat_template = shape.chat_template
    return fast


def build_model(seed: int, dtype: Any, name: str = NAME) -> Any:
    """Llama with random weights and two heads of queries for each of keys and values."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = MODELS[name]
    config = LlamaConfig(
        vocab_size=3 + len(shape.vocabulary),
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads // 2,
        max_position_embeddings=shape.positions,
        initializer_range=shape.initial_std,
        tie_word_embeddings=False,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).to(dtype)
