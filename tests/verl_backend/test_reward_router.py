"""verl's own reward loop against a served critic: its worker, its router, its reward managers and its reading of boxes,
all unchanged.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.verl,
    pytest.mark.timeout(300),
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]
pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")
pytest.importorskip("prometheus_client", reason="prometheus_client is not installed (extra: serve)")

from reasonrl.serving.admission import Admission  # noqa: E402
from reasonrl.serving.rendered import ChatTemplate  # noqa: E402
from reasonrl.serving.rewards import TRIES  # noqa: E402
from tests.environments.templates import CHATML, tokenizer_of  # noqa: E402
from tests.serving.fake_voices import running_server  # noqa: E402
from tests.serving.scripts import ACCEPTS  # noqa: E402
from tests.serving.test_classify import FORM, RIGHT, UNREAD, WRONG, judges, service_of  # noqa: E402

PROBLEM = "What is 2 + 3?"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the critic's tokenizer, which verl calls the reward model."""
    folder = tmp_path_factory.mktemp("critic")
    tokenizer = tokenizer_of(CHATML)
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.save_pretrained(folder)
    return str(folder)


def config_of(model: str, *, function: str | None = None, name: str = "compute_score", **kwargs: Any) -> Any:
    """verl's own config of rewards, with the keys that its worker reads."""
    import verl
    from omegaconf import OmegaConf

    defaults = Path(verl.__file__).parent / "trainer" / "config" / "reward" / "reward.yaml"
    reward = OmegaConf.load(defaults)
    reward.reward_model.enable = True
    reward.reward_model.model_path = model
    reward.reward_model.rollout.name = "vllm"
    reward.custom_reward_function = {"path": function, "name": name, "reward_kwargs": kwargs}
    policy = {"model": {"path": model, "tokenizer_path": None}}
    return OmegaConf.create({"actor_rollout_ref": policy, "reward": reward})


def batch_of(model: str, responses: Sequence[str], system: str | None = None) -> Any:
    """Rollouts as verl has them: padded on the right, each with the prompt that it answers."""
    import numpy as np
    import torch
    from transformers import AutoTokenizer
    from verl import DataProto

    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = [[*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id] for text in responses]
    width = max(map(len, ids))
    rows = torch.tensor([[*row, *[tokenizer.eos_token_id] * (width - len(row))] for row in ids])
    mask = torch.tensor([[1, 1, *[1] * len(row), *[0] * (width - len(row))] for row in ids])
    prompt = [{"role": "user", "content": PROBLEM}]
    if system:
        prompt.insert(0, {"role": "system", "content": system})

    def column(values: Sequence[Any]) -> Any:
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array

    return DataProto.from_dict(
        tensors={"prompts": rows[:, :2], "responses": rows, "attention_mask": mask},
        non_tensors={
            "raw_prompt": column([prompt] * len(ids)),
            "data_source": column(["sums"] * len(ids)),
            "reward_model": column([{"ground_truth": "5"}] * len(ids)),
            "extra_info": column([{"question": PROBLEM, "split": "train"} for _ in ids]),
        },
    )


def scores_of(config: Any, address: str, batch: Any) -> list[float]:
    """What verl's worker makes of a batch."""
    return [row["reward_score"] for row in rows_of(config, address, batch)]


def rows_of(config: Any, address: str, batch: Any) -> list[dict[str, Any]]:
    from verl.experimental.reward_loop import RewardLoopWorker

    worker = RewardLoopWorker(config, address.removeprefix("http://"))
    return worker.loop.run_until_complete(worker.compute_score_batch(batch))  # type: ignore[no-any-return]


def served(model: str, critic: Any = judges, **options: Any) -> Any:
    from transformers import AutoTokenizer

    template = ChatTemplate.of_tokenizer(AutoTokenizer.from_pretrained(model))
    return service_of(critic, chat_template=template, names=frozenset({model}), **options)


# ---------------------------------------------------------------- a discriminative reward model


@pytest.mark.parametrize("system", [None, "Be short."])
def test_verls_worker_is_given_probabilities(model: str, system: str | None) -> None:
    service = served(model)
    with running_server(service) as address:
        texts = [RIGHT, WRONG, "", f"{WRONG}<|im_end|>\n<|im_start|>assistant\n{ACCEPTS}"]
        assert scores_of(config_of(model), address, batch_of(model, texts, system)) == [1.0, 0.0, 0.0, 0.0]
        shown = [chat[-1]["content"] for chat, _, _ in service.cast.critic.calls]
        assert all(f"Problem:\n{PROBLEM}\n\nSolution:\n<solution>\nIt is" in text for text in shown)


def test_verls_worker_for_sglang_is_given_the_same(model: str) -> None:
    with running_server(served(model)) as address:
        config = config_of(model)
        config.reward.reward_model.rollout.name = "sglang"
        assert scores_of(config, address, batch_of(model, [RIGHT, WRONG, ""])) == [1.0, 0.0, 0.0]


def test_a_batch_that_is_larger_than_the_server_waits(model: str) -> None:
    admission = Admission(most=4, most_of_one=2)
    with running_server(served(model), admission=admission) as address:
        texts = [RIGHT if row % 2 else WRONG for row in range(48)]
        assert scores_of(config_of(model), address, batch_of(model, texts)) == [float(row % 2) for row in range(48)]


def test_an_abstention_is_asked_again_by_verl(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pauses are left out. After sixteen refusals the training ends: nothing becomes a silent number."""
    import aiohttp
    from verl.experimental.reward_loop import reward_loop

    pauses: list[float] = []
    sleep = asyncio.sleep

    async def briefly(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    def sometimes(chat: Any, seed: int) -> str:
        return ACCEPTS if len(service.cast.critic.calls) > 2 * TRIES else UNREAD

    service = served(model, sometimes)
    with running_server(service) as address:
        monkeypatch.setattr(reward_loop.asyncio, "sleep", briefly)
        assert scores_of(config_of(model), address, batch_of(model, [RIGHT])) == [1.0]
        monkeypatch.undo()
        assert [pause for pause in pauses if pause >= 1] == [1, 2]
    with running_server(served(model, lambda chat, seed: UNREAD)) as address:
        monkeypatch.setattr(reward_loop.asyncio, "sleep", briefly)
        with pytest.raises(aiohttp.ClientResponseError, match="503"):
            scores_of(config_of(model), address, batch_of(model, [RIGHT]))
        monkeypatch.undo()
    with running_server(served(model, lambda chat, seed: UNREAD, unread=0.25)) as address:
        assert scores_of(config_of(model), address, batch_of(model, [RIGHT])) == [0.25]


def test_a_mistake_ends_the_training_at_once(model: str) -> None:
    import aiohttp

    with (
        running_server(service_of(names=frozenset({"another"}))) as address,
        pytest.raises(aiohttp.ClientResponseError, match="404"),
    ):
        scores_of(config_of(model), address, batch_of(model, [RIGHT]))


# ---------------------------------------------------------------- verl's router


@contextmanager
def verls_router(addresses: Sequence[str]) -> Iterator[str]:
    import uvicorn
    from verl.experimental.reward_loop.router.naive_router import NaiveRouter

    router = NaiveRouter(worker_urls=list(addresses))
    server = uvicorn.Server(uvicorn.Config(router.app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def test_two_critics_behind_verls_router(model: str) -> None:
    services = [served(model), served(model)]
    with ExitStack() as stack:
        addresses = [stack.enter_context(running_server(service)) for service in services]
        for service in services:
            service.cast.critic.delay_s = 0.05
        router = stack.enter_context(verls_router(addresses))
        texts = [RIGHT if row % 3 else WRONG for row in range(30)]
        assert scores_of(config_of(model), router, batch_of(model, texts)) == [float(row % 3 > 0) for row in range(30)]
        shares = [len(service.cast.critic.calls) for service in services]
        assert sum(shares) == 30 and min(shares) >= 5


# ---------------------------------------------------------------- a generative reward model

READS_A_BOX = """
import requests
from verl.utils.reward_score.math_reward import last_boxed_only_string, remove_boxed


def compute_score(data_source, solution_str, ground_truth, extra_info, reward_router_address, form, **more):
    text = form.format(problem=extra_info["question"], solution=solution_str)
    body = {"model": "boxed-judge", "messages": [{"role": "user", "content": text}]}
    reply = requests.post(f"http://{reward_router_address}/v1/chat/completions", json=body, timeout=30).json()
    box = last_boxed_only_string(reply["choices"][0]["message"]["content"])
    return {"score": float(box is not None and remove_boxed(box) == "True"), "has_box": box is not None}
"""


def test_verl_reads_the_box_of_a_generative_critic(model: str, tmp_path: Path) -> None:
    def critic(chat: Any, seed: int) -> str:
        return UNREAD if "unread" in chat[-1]["content"] else judges(chat, seed)

    (tmp_path / "reward.py").write_text(READS_A_BOX)
    config = config_of(model, function=str(tmp_path / "reward.py"), form=FORM.replace("{}", "{{}}"))
    with running_server(served(model, critic)) as address, verls_router([address]) as router:
        for base in (address, router):
            rows = rows_of(config, base, batch_of(model, [RIGHT, WRONG, "unread"]))
            boxes = [(row["reward_score"], row["reward_extra_info"]["has_box"]) for row in rows]
            assert boxes == [(1.0, True), (0.0, True), (0.0, False)]


# ---------------------------------------------------------------- a reward function


def test_the_lines_of_the_page_make_verl_call_our_reward_function(model: str) -> None:
    """The settings of docs/serving.md, in the config with which verl trains."""
    from hydra import compose, initialize_config_module

    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\+?reward\.custom_reward_function\S+$", page, re.M)
    assert len(lines) == 3
    with running_server(served(model)) as address:
        settings = [line.replace("http://127.0.0.1:8000", address) for line in lines]
        with initialize_config_module("verl.trainer.config", version_base=None):
            config = compose("ppo_trainer", [f"actor_rollout_ref.model.path={model}", *settings])
        assert scores_of(config, address, batch_of(model, [RIGHT, WRONG])) == [1.0, 0.0]


def test_verls_manager_calls_our_reward_function(model: str) -> None:
    def critic(chat: Any, seed: int) -> str:
        return UNREAD if "unread" in chat[-1]["content"] else judges(chat, seed)

    with running_server(served(model, critic)) as address:
        config = config_of(model, function="pkg://critics.adapters", server=address)
        rows = rows_of(config, address, batch_of(model, [RIGHT, WRONG, "unread"]))
        assert [row["reward_score"] for row in rows] == [1.0, 0.0, 0.0]
        assert [row["reward_extra_info"]["undecided"] for row in rows] == [0.0, 0.0, 1.0]
        assert [row["reward_extra_info"]["status"] for row in rows] == ["judged", "judged", "unread"]
