"""Files and overrides that are not quite YAML, or YAML of a kind that nobody means in a recipe."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.generated.case import Case
from tests.generated.recipes import DRY, NAME, TEXT, as_json

NOT_RECIPES = (
    b"",
    b"\n",
    b"---\n---\n",
    b"null",
    b"[]",
    b"{}",
    b"text",
    b"- name: tiny\n",
    b"&a [*a]",
    b"name: &a\n  b: *a\n",
    b"a: &a [*a]\n",
    b"name: tiny\n---\nname: tiny\n",
    b'name: !!python/object/apply:os.system ["true"]\n',
    b"name: !!python/name:os.system\n",
    b"!!set {name, data}\n",
    b"!!binary aGVsbG8=\n",
    b"? [a, b]\n: c\n",
    b"? {a: b}\n: c\n",
    b"1: 2\n",
    b"null: 3\n",
    b"on: off\n",
    b"2020-01-01: 2020-13-45\n",
    b"<<: 5\n",
    b"<<: [1, 2]\n",
    b"name: *nobody\n",
    b"name: tiny\n\tdata: 1\n",
    b"name: 'tiny\n",
    b"\xff\xfe\x00n",
    "name: ünï\n".encode("latin-1"),
    "name: tiny\n".encode("utf-16"),
    b"\x00" * 50,
    b"[" * 5000,
    b"{a: " * 3000,
    b"- " * 3000,
    b"a: |\n" + b" x\n" * 10,
    b"%YAML 9.9\n---\nname: x\n",
    b"%TAG ! tag:x\n---\n!y {}\n",
)

ENDS = (
    "seed: " + "1" * 5000,
    "seed: -" + "9" * 400,
    "seed: 1e400",
    "seed: 1:30:15.5",
    "seed: 2020-01-01",
    "seed: 2020-99-99",
    "seed: !!int many",
    "seed: !!float x",
    "seed: !!timestamp x",
    "seed: !!binary '=='",
    "seed: !!bool maybe",
    "seed: 0x",
    "name: !!null x",
    "name: 2020-01-01",
    "name: yes",
    "name: 5",
    "name: .nan",
    "optim: &o {lr: 1.0, more: *o}",
    "verifier: {name: math, mdoe: whole}",
    "verifier: {name: math, timeout_s: .nan}",
    "verifier: {name: math, timeout_s: .inf}",
    "verifier: {name: math, timeout_s: -1}",
    "verifier: {name: math, workers: 0}",
    "verifier: {name: math, workers: 1.5}",
    "verifier: {name: math, workers: many}",
    "verifier: {name: math, policy: {nobody: 1}}",
    "verifier: {name: math, policy: [1]}",
    "verifier: {name: format}",
    "verifier: {name: format, pattern: '('}",
    "verifier: {name: format, pattern: 5}",
    "verifier: []",
    "verifier: mth",
    "reward: {}",
    "reward: []",
    "reward: {mine: 1.0}",
    "reward: {correctness: {weight: .nan}}",
    "reward: {correctness: .inf}",
    "reward: {correctness: heavy}",
    "reward: {mine: {function: nobody_has_this:f}}",
    "reward: {mine: {function: 'no colon'}}",
    "reward: {mine: {verifier: nobody}}",
    "reward: {correctness: {function: 'json:dumps', verifier: math}}",
    "rollout: {rollouts_per_prompt: 4, stop: ['']}",
    "rollout: {rollouts_per_prompt: 4, stop: [5]}",
    "rollout: {rollouts_per_prompt: 4, stop: [null]}",
    "rollout: {rollouts_per_prompt: 4, stop: '\\n'}",
    "rollout: {engine: nobody}",
    "rollout: {environment: nobody}",
    "rollout: {environment: {name: single_turn, more: 1}}",
    "rollout: {max_new_tokens: 600}",
    "rollout: {max_new_tokens: 10000000000000000000000}",
    "optim: {lr: 1.0e-3, betas: [0.9, 1.0]}",
    "optim: {lr: 1.0e-3, betas: [0.9]}",
    "optim: {lr: 1.0e-3, betas: [.nan, 0.9]}",
    "optim: {lr: -1.0e-3}",
    "optim: {lr: 1.0e-3, weight_decay: .inf}",
    "device: gpu",
    "device: mps:7",
    "device: cuda:99",
    "device: ''",
    "device: meta",
    "device: cpu:x",
    "threads: 0",
    "train: {steps: 0}",
    "train: {steps: 3, advantage: grppo}",
    "train: {steps: 3, loss: nobody_has_this:f}",
    "curriculum: nobody",
    "budget: nobody",
    "budget: {name: knapsack, more: 1}",
    "model: {path: tiny-arithmetic, lora: {target_modules: [q_proj, v_prj]}}",
    "model: {path: tiny-arithmetic, lora: {target_modules: [nobody]}}",
    "model: {path: tiny-arithmetic, lora: {target_modules: []}}",
    "model: {path: tiny-arithmetic, lora: {target_modules: ['']}}",
    "model: {path: tiny-arithmetic, lora: {target_modules: [norm]}}",
    "model: {path: tiny-arithmetic, lora: {rank: 0}}",
    "model: {path: tiny-arithmetic, lora: 5}",
    "model: {path: tiny_arithmetic}",
    "evaluation: {samples_per_problem: 2, temperature: 0}",
    "evaluation: {samples_per_problem: 2, temperature: .nan}",
    "checkpoint: {every_steps: 0}",
    "checkpoint: {every_steps: 1, keep: -1}",
    "health: {more: 1}",
    "stages: []",
    "stages: [a]",
    "stages: [{name: a}, {name: a}]",
    "stages: [{name: 'a b'}]",
    "stages: [{name: ../a}]",
    "stages: [{name: a, kind: ssft}]",
    "stages: {name: a}",
    "kind: game",
    "kind: offline",
    "backend: veerl",
    "run_dir: x",
    "init_from: nobody-has-this",
    "data: {}",
    "data: {train: []}",
    "data: {train: [{}]}",
    "data: {train: {source: arithmetic}}",
    "data: {train: {source: arithmetic, options: {size: 0}}}",
    "data: {train: {source: arithmetic, options: {size: -1}}}",
    "data: {train: {source: arithmetic, options: {size: many}}}",
    "data: {train: {source: arithmetic, options: {size: .inf}}}",
    "data: {train: {source: arithmetic, options: {size: 10, operations: x}}}",
    "data: {train: {source: arithmetic, options: {size: 10, operations: ''}}}",
    "data: {train: {source: arithmetic, options: {size: 10, terms: [3, 2]}}}",
    "data: {train: {source: arithmetic, options: {size: 10, terms: 0}}}",
    "data: {train: {source: arithmetic, options: {size: 10, low: 9, high: 1}}}",
    "data: {train: {source: arithmetic, options: {size: 10, test_share: 2}}}",
    "data: {train: {source: arithmetic, options: {size: 10, test_share: .nan}}}",
    "data: {train: {source: arithmetic, options: {size: 10, split: tests}}}",
    "data: {train: {source: arithmetic, options: {size: 10, more: 1}}}",
    "data: {train: {source: arithmetic, options: {size: 10, balance: x}}}",
    "data: {train: {source: arithmetic, options: {size: 10, min_result: 10000}}}",
    "data: {train: {source: step_arithmetic, options: {size: 10, terms: -1}}}",
    "data: {train: {source: step_arithmetic, options: {size: 10, tasks: {nobody: 1}}}}",
    "data: {train: {source: reasoning_gym, options: {dataset: nobody}}}",
    "data: {train: {source: reasoning_gym, options: {dataset: chain_sum, size: 0}}}",
    "data: {train: {source: reasoning_gym, options: {dataset: chain_sum, min_terms: 9, max_terms: 2}}}",
)
"""One section or key each, which replaces that of the tiny recipe. None of them can be trained."""


def without(key: str) -> str:
    """The tiny recipe without a section."""
    sections: list[list[str]] = []
    for line in TEXT.splitlines():
        if not line.startswith((" ", "-")):
            sections.append([])
        sections[-1].append(line)
    return "\n".join("\n".join(lines) for lines in sections if not lines[0].startswith(f"{key}:")) + "\n"


def replaced(end: str) -> Case:
    key = end.partition(":")[0]
    return Case(f"a recipe with {end[:90]}", DRY, {NAME: (without(key) + end + "\n").encode()})


@st.composite
def replaced_sections(draw: st.DrawFn) -> Case:
    case = replaced(draw(st.sampled_from(ENDS)))
    return Case(case.about, draw(as_json(case.arguments)), case.files)


@st.composite
def not_recipes(draw: st.DrawFn) -> Case:
    """Texts of no recipe at all, and the tiny recipe cut off, or with a piece of it lost or doubled."""
    about = draw(st.sampled_from(["listed", "text", "bytes", "cut", "inserted"]))
    whole = TEXT.encode()
    place = draw(st.integers(8, whole.index(b"source:")))
    content = {
        "listed": lambda: draw(st.sampled_from(NOT_RECIPES)),
        "text": lambda: draw(st.text(max_size=30)).encode(errors="replace"),
        "bytes": lambda: draw(st.binary(max_size=30)),
        "cut": lambda: whole[:place],
        "inserted": lambda: (
            whole[:place] + draw(st.sampled_from([b"\0", b"\xff", b"\t[", b"\n}", b"\x1b[31m", b'\n"'])) + whole[place:]
        ),
    }[about]()
    return Case(f"no recipe: {about}", draw(as_json(DRY)), {NAME: content}, "refused", (NAME,))


WORDS = (
    "=",
    "==",
    "=5",
    "train",
    "train.=5",
    ".steps=5",
    "train..steps=5",
    "train.steps.more=5",
    "train[steps]=5",
    "data.train.0.source=x",
    "train.steps=",
    "train.steps=5 6",
    "train.steps=[",
    "train.steps={a: 1, a: 2}",
    "train.steps=&a [*a]",
    "train.steps=!!python/name:os.system",
    "train.steps=" + "1" * 5000,
    "train.steps=" + "[" * 3000,
    "train={steps: 1, steps: 2}",
    "train=5",
    "optim.lr=nan",
    "optim.lr=.nan",
    "optim.lr=1e400",
    "optim.lr=-1e-3",
    "optim.lr=1,5",
    "optim.lr=0x1p",
    "name=",
    "name=../x",
    "name=a/b",
    "name=" + "x" * 300,
    "run-dir=x",
    "--steps=5",
    "verifier.name=",
    "data=",
    "data.train=",
    "data.train.source=",
    "rollout.stop=[]x",
    "rollout.stop=['']",
    "seed=true",
    "seed=1.5",
    "threads=1.5",
    "stages.0.name=x",
    "train.steps=\x00".replace("\x00", "\x01"),
    "train.steps=\u200b5",
    "\ufefftrain.steps=5",
)


@st.composite
def overrides(draw: st.DrawFn) -> Case:
    word = draw(st.sampled_from(WORDS))
    return Case(f"override {word[:40]!r}", draw(as_json((*DRY, word))), {NAME: TEXT.encode()})
