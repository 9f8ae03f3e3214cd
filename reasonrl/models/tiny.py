"""`tiny-arithmetic`: a random Llama of 0.2 M parameters whose tokens are single characters, for tests and the smoke recipe.

It knows nothing until a supervised phase has taught it something. Made in memory from a seed; nothing is downloaded.
"""

from __future__ import annotations

from typing import Any

NAME = "tiny-arithmetic"
CHARACTERS = "0123456789+-*/=?()., :\nQA"


def build_tokenizer() -> Any:
    """A character tokenizer with <pad>, <eos> and <unk>; text round-trips for the characters above."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", "<unk>", *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")


def build_model(seed: int, dtype: Any) -> Any:
    """Llama with random weights: 2 layers, width 96, 4 heads (2 key-value heads)."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=3 + len(CHARACTERS),
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).to(dtype)
