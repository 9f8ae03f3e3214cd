"""Prompts that several benchmarks share."""

from __future__ import annotations

from reasonrl.evaluation.benchmarks.base import Prompt

BOXED = Prompt("chat", "{question}\nPlease reason step by step, and put your final answer within \\boxed{}.")
"""The instruction of Qwen2.5-Math and of most reports since, as the user's message and without a system message."""
EXAMPLES = (
    (
        "A baker makes 14 loaves in the morning and twice as many in the afternoon. She sells 30. How many are left?",
        " In the afternoon she makes 2 * 14 = 28 loaves. That is 14 + 28 = 42 in all. 42 - 30 = 12 are left."
        " The answer is \\boxed{12}.\n",
    ),
    (
        "A train goes 60 kilometres in the first hour and 45 in each of the next two. How far does it go?",
        " In the next two hours it goes 2 * 45 = 90 kilometres. 60 + 90 = 150. The answer is \\boxed{150}.\n",
    ),
    (
        "What is the product of the solutions of $x^2 - 7x + 12 = 0$?",
        " The equation factors as $(x - 3)(x - 4) = 0$, so the solutions are 3 and 4. Their product is 12."
        " The answer is \\boxed{12}.\n",
    ),
    (
        "Pia has \\$20. She buys three pens at \\$1.50 each and a book for \\$9. How much does she have left?",
        " The pens cost 3 * 1.50 = 4.50 dollars, and 4.50 + 9 = 13.50. 20 - 13.50 = 6.50."
        " The answer is \\boxed{6.50}.\n",
    ),
)
FOUR_SHOT = Prompt("text", "Question: {question}\nAnswer:", EXAMPLES, ("\nQuestion:",))
"""For base models. The examples are ours, so scores are not those of harnesses whose examples are others."""
MATH = {"boxed": BOXED, "4shot": FOUR_SHOT}
FUNCTION = Prompt(
    "chat",
    "Complete this Python function. Write the whole function in one block of code.\n\n```python\n{question}\n```",
)
_BARE = {"mode": "lenient"}
COMPLETION = Prompt("text", "{question}", (), ("\nclass ", "\ndef ", "\n#", "\nif __name__", "\nprint("), _BARE)
"""For base models: the response goes on where the prompt ends."""
PROGRAM = Prompt("chat", "{question}\n\nWrite the program in one block of Python code.")
PROGRAM_TEXT = Prompt("text", "{question}\n\n```python\n", (), ("\n```",), _BARE)
