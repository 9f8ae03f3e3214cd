"""What stands around an answer and does not change it: marks, clauses behind it, markdown, languages, thoughts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

Put = Callable[[str, Random], str]


@dataclass(frozen=True, slots=True)
class Wording:
    name: str
    put: Put
    needs: frozenset[str]
    """Traits that the answer must have."""
    marked: bool
    """Also read in strict mode."""


WORDINGS: list[Wording] = []


def wording(needs: str = "", *, marked: bool = True) -> Callable[[Put], Put]:
    def register(put: Put) -> Put:
        WORDINGS.append(Wording(put.__name__.replace("_", " "), put, frozenset(needs.split()), marked))
        return put

    return register


def inline(answer: str) -> str:
    """As it stands in a sentence: LaTeX between dollars."""
    is_wrapped = "$" in answer or answer.startswith(("\\(", "\\["))
    is_formula = any(sign in answer for sign in "\\^_{+=<>÷*") and not answer.startswith("*")
    return f"${answer}$" if is_formula and not is_wrapped else answer


@wording()
def boxed(answer: str, rng: Random) -> str:
    return f"Putting it together we get {rng.choice(['$%s$', '%s', '$$%s$$'])}." % f"\\boxed{{{answer}}}"


@wording()
def fboxed(answer: str, rng: Random) -> str:
    return f"Hence \\fbox{{{answer}}}."


@wording()
def the_answer_is(answer: str, rng: Random) -> str:
    return (
        f"We add them up. {rng.choice(['The answer is', 'The final answer is', 'So the answer is'])} {inline(answer)}."
    )


@wording()
def answer_with_a_colon(answer: str, rng: Random) -> str:
    return f"We add them up.\n\n{rng.choice(['Answer', 'Final Answer', 'ANSWER', '**Answer**'])}: {inline(answer)}"


@wording()
def hashes(answer: str, rng: Random) -> str:
    return f"We add them up.\n#### {answer}"


@wording()
def answer_tags(answer: str, rng: Random) -> str:
    return f"<think>We add them up.</think><answer>{rng.choice(['', ' '])}{answer}</answer>"


@wording()
def markdown_bold(answer: str, rng: Random) -> str:
    return f"The answer is **{inline(answer)}**."


@wording()
def markdown_backticks(answer: str, rng: Random) -> str:
    return f"The answer is `{answer}`."


@wording()
def backticks_in_the_box(answer: str, rng: Random) -> str:
    return f"\\boxed{{`{answer}`}}"


@wording()
def as_required(answer: str, rng: Random) -> str:
    clause = rng.choice(["as required", "as desired", "as claimed", "which is what we wanted", "as we had to show"])
    return f"The answer is {inline(answer)}, {clause}."


@wording("one")
def which_is_the_total(answer: str, rng: Random) -> str:
    clause = rng.choice(["which is the total", "which is the result", "which makes sense", "which fits the condition"])
    return f"The answer is {inline(answer)}, {clause}."


@wording("one")
def since(answer: str, rng: Random) -> str:
    clause = rng.choice(
        ["since nothing else is left", "because the two parts add up", "as the rest cancels", "since the sum is fixed"]
    )
    return f"The answer is {inline(answer)}, {clause}."


@wording("count")
def in_total(answer: str, rng: Random) -> str:
    return f"The answer is {inline(answer)} {rng.choice(['in total', 'altogether', 'in all', 'overall'])}."


@wording("one")
def remark_in_brackets(answer: str, rng: Random) -> str:
    remark = rng.choice(["see above", "since the parts add up", "checked by hand", "as required"])
    return f"The answer is {inline(answer)} ({remark})."


@wording("scalar", marked=False)
def last_sentence(answer: str, rng: Random) -> str:
    return f"We add them up. {rng.choice(['So the total is', 'Hence we get', 'Therefore it equals'])} {inline(answer)}."


@wording("one")
def other_language(answer: str, rng: Random) -> str:
    lead = rng.choice(["La réponse est", "Die Antwort ist", "La respuesta es", "答案是", "La risposta è"])
    return f"{lead} {rng.choice(['$', chr(92) + 'boxed{'])}".replace("$", "\\boxed{") + f"{answer}}}."


@wording("scalar", marked=False)
def other_language_without_a_mark(answer: str, rng: Random) -> str:
    return rng.choice(
        ["Es bleiben also {}.", "Le coût final est donc de {}.", "Por lo tanto, el total es {}.", "所以一共是{}。"]
    ).format(inline(answer))


@wording()
def box_named_in_prose(answer: str, rng: Random) -> str:
    where = rng.choice(["in \\boxed{}", "with \\boxed as asked", "using `\\boxed{}`", "within \\boxed{...}"])
    return f"I put the answer {where}.\n\nSo we get \\boxed{{{answer}}}."


@wording()
def thoughts_before(answer: str, rng: Random) -> str:
    return f"<think>Maybe \\boxed{{{rng.randint(2, 99)}}}? No, one edge is counted twice.</think>\n\\boxed{{{answer}}}"


@wording()
def said_twice(answer: str, rng: Random) -> str:
    return f"We get \\boxed{{{answer}}}.\n\n**Final Answer**\n\\boxed{{{answer}}}"


@wording()
def text_after_the_box(answer: str, rng: Random) -> str:
    return f"\\boxed{{{answer}}}\n\n{rng.choice(['This completes the solution.', 'The check agrees.', 'Done!'])}"


@wording()
def sign_before_the_mark(answer: str, rng: Random) -> str:
    lead = rng.choice(["✅ Final Answer:", "**Answer:**", "__Answer__:", "### Final Answer:", "👉 **Final answer:**"])
    return f"We add them up.\n\n---\n\n{lead} {rng.choice(['**{}**', '{}'])}".format(inline(answer))


@wording()
def answer_to_the_question(answer: str, rng: Random) -> str:
    lead = rng.choice(
        ["The answer to the question is", "Therefore, the final answer is:", "Thus the correct answer is"]
    )
    return f"We add them up. {lead} {inline(answer)}."


@wording()
def displayed_box(answer: str, rng: Random) -> str:
    return rng.choice(["So:\n\\[\n\\boxed{{{}}}\n\\]", "So, the final answer is \\(\\boxed{{{}}}\\)."]).format(answer)


@wording("scalar")
def hashes_and_text_after_it(answer: str, rng: Random) -> str:
    return f"We add them up.\n#### {answer}\n The steps were checked again, so the result stands."


@wording()
def box_in_tags(answer: str, rng: Random) -> str:
    return f"<think>easy</think><answer>\\boxed{{{answer}}}</answer>"


@wording()
def hope(answer: str, rng: Random) -> str:
    return f"Final Answer: The final answer is {inline(answer)}. I hope it is correct."


@wording("one")
def adverb_before_it(answer: str, rng: Random) -> str:
    adverb = rng.choice(["simply", "exactly", "clearly", "therefore", "just", "equal to", "given by", "indeed"])
    return f"We add them up. The answer is {adverb} {inline(answer)}."


@wording("count", marked=False)
def languages_of_other_scripts(answer: str, rng: Random) -> str:
    return rng.choice(["Ответ: {}.", "答えは{}です。", "정답은 {}입니다.", "उत्तर {} है।", "A resposta é {}."]).format(
        inline(answer)
    )


@wording("count")
def more_clauses(answer: str, rng: Random) -> str:
    clause = rng.choice(
        [
            "as expected",
            "as found above",
            "giving us the total",
            "after adding the parts",
            "so we are done",
            "as we wanted",
        ]
    )
    return f"The answer is {inline(answer)}, {clause}."


@wording("count")
def a_total_of(answer: str, rng: Random) -> str:
    noun = rng.choice(["clips", "days", "marbles", "people"])
    form = rng.choice(
        ["The answer is a total of {} {}.", "The answer is {} {}, altogether.", "The answer is {} {} in all."]
    )
    return form.format(inline(answer), noun)
