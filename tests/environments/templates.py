"""Chat templates of the families that differ in how one turn ends and the next begins, over one small tokenizer."""

from __future__ import annotations

from typing import Any

from reasonrl.models.tiny import CRITIC, build_tokenizer

_EACH = "{% for message in messages %}"
_END = "{% endfor %}"

CHATML = (
    _EACH
    + "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    + _END
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = (
    _EACH
    + "{{ '<|start|>' + message['role'] + '<|end|>\n\n' + message['content'] | trim + '<|eot|>' }}"
    + _END
    + "{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\n\n' }}{% endif %}"
)
LLAMA_JSON = LLAMA.replace(
    "{{ '<|start|>' + message['role'] + '<|end|>\n\n' + message['content'] | trim + '<|eot|>' }}",
    "{% if message['role'] == 'tool' %}{{ '<|start|>ipython<|end|>\n\n' + message['content'] | tojson + '<|eot|>' }}"
    "{% else %}{{ '<|start|>' + message['role'] + '<|end|>\n\n' + message['content'] | trim + '<|eot|>' }}{% endif %}",
)
"""As Llama 3.1's: what a tool says is written as JSON, line breaks and quotes with a backslash."""
GEMMA = (
    _EACH
    + "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    + "{{ '<|turn|>' + role + '\n' + message['content'] | trim + '<|/turn|>\n' }}"
    + _END
    + "{% if add_generation_prompt %}{{ '<|turn|>model\n' }}{% endif %}"
)
GLM = (
    _EACH
    + "{{ '[' + message['role'] + ']\n' + message['content'] }}"
    + _END
    + "{% if add_generation_prompt %}{{ '[assistant]\n' }}{% endif %}"
)
DROPS_THINKING = (
    "{% set last = messages | length - 1 %}"
    + _EACH
    + "{{ '<|im_start|>' + message['role'] + '\n' }}"
    + "{% if message['role'] == 'assistant' and loop.index0 == last %}{{ '(thinking)\n' }}{% endif %}"
    + "{{ message['content'] + '<|im_end|>\n' }}"
    + _END
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
DROPS_TOOLS = CHATML.replace(_EACH, _EACH + "{% if message['role'] != 'tool' %}").replace(_END, "{% endif %}" + _END)

FAMILIES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "chatml": (CHATML, ("<|im_start|>", "<|im_end|>"), "<|im_end|>"),
    "llama": (LLAMA, ("<|start|>", "<|end|>", "<|eot|>"), "<|eot|>"),
    "llama_json": (LLAMA_JSON, ("<|start|>", "<|end|>", "<|eot|>"), "<|eot|>"),
    "gemma": (GEMMA, ("<|turn|>", "<|/turn|>"), "<|/turn|>"),
    "glm": (GLM, ("[observation]", "[user]", "[assistant]"), "[user]"),
}
"""Template, special tokens, and the token that ends a turn of the policy before a message of the user."""


def tokenizer_of(template: str, special: tuple[str, ...] = ("<|im_start|>", "<|im_end|>")) -> Any:
    tokenizer = build_tokenizer(CRITIC)
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.chat_template = template
    return tokenizer


def family(name: str) -> tuple[Any, int]:
    """The tokenizer of a family, and the id that ends a turn of its policy."""
    template, special, end = FAMILIES[name]
    tokenizer = tokenizer_of(template, special)
    return tokenizer, tokenizer.convert_tokens_to_ids(end)
