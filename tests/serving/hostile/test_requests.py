"""More than a thousand malformed and hostile requests: each is refused as the client's mistake."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.serving.hostile.conftest import BODY_BYTES, CHAT, HOUSE, JSON, ROUTES

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

DEEP = "[" * 20_000 + "]" * 20_000


def is_refused(answer: httpx.Response) -> bool:
    """A mistake of the client, in OpenAI's form, with nothing of this machine in it."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:500])
    assert not any(text in answer.text for text in ("Traceback", "site-packages", HOUSE)), answer.text[:500]
    if answer.request.method != "HEAD":
        error = answer.json()["error"]
        assert isinstance(error["message"], str) and len(error["message"]) < 2000 and error["type"]
    assert not any(name.startswith("access-control") for name in answer.headers)
    return True


# ---------------------------------------------------------------- fields

NO_TEXT: list[Any] = [1, 1.5, True, [], {}, [1], {"a": 1}, "x" * 200_001 if BODY_BYTES > 200_001 else 0]
NO_COUNT: list[Any] = [0, -1, -(2**63), 2**63, 10**30, 1.5, "many", "", [], {}, [1], "1e3", "0x10"]
NO_SHARE: list[Any] = [-1, -0.001, 2.001, 1e300, "hot", [], {}, [0.5], "nan", "inf", "-inf"]
NO_FLAG: list[Any] = ["perhaps", 2, -1, 0.5, [], {}]
NO_SEED: list[Any] = [2**63, -(2**63) - 1, 10**40, 1.5, "x", [], {}]
NO_OPTIONS: list[Any] = [1, "x", [], [{}], True]
SECONDS: list[Any] = [0, -1, 3601, 1e300, "soon", [], {}, "nan", "inf"]
NO_STRATEGY: list[Any] = [1, [], {}, True, "", "x" * 65, "nonsense", "../refine", "__init__", "refine;rm", "os:system"]
NO_ROLE: list[Any] = ["", "robot", "tool", "function", "User", 1, None, [], {}]
NO_CONTENT: list[Any] = [None, 1, True, {}, [1], ["x"], [None], [{}], {"text": "x"}]
NO_MESSAGES: list[Any] = [
    *("hello", 1, True, {}, [], [1], ["x"], [None], [[]], [{}], [{"role": "user"}], [{"content": "x"}]),
    *([{"role": role, "content": "x"}] for role in NO_ROLE),
    *([{"role": "user", "content": content}] for content in NO_CONTENT),
    *(
        [{"role": "user", "content": [part]}]
        for part in (
            {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}},
            {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "file", "file": {"file_id": "../../etc/passwd"}},
            {"type": "text"},
            {"type": "text", "text": 1},
            {"type": "text", "text": ["x"]},
            {"text": "x"},
        )
    ),
    [{"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}],
    [{"role": "user", "content": "x"}] * 257,
]
STRATEGY_OPTIONS: dict[str, list[Any]] = {
    "strategy": NO_STRATEGY,
    **{key: [*NO_COUNT, 65] for key in ["rounds", "samples", "critiques", "tries"]},
    "budget_tokens": [*NO_COUNT, 10**7],
    "deadline_s": SECONDS,
    "trace": NO_FLAG,
    "progress": NO_FLAG,
    **{key: ["x", 1, {}] for key in ["base_url", "path", "code", "api_key", "__class__", "", "Strategy", "x\x00y"]},
}
WRONG: dict[str, dict[str, list[Any]]] = {
    CHAT: {
        "model": [
            *NO_TEXT[:-1],
            "",
            "gpt-4",
            "solver\x00",
            "../solver",
            "SOLVER",
            "x" * 300,
            "refine_solver",
            "solver ",
        ],
        "messages": NO_MESSAGES,
        "max_tokens": [*NO_COUNT, 10**7],
        "max_completion_tokens": [*NO_COUNT, 10**7],
        "temperature": NO_SHARE,
        "top_p": [*NO_SHARE, 0, 1.001],
        "n": [*NO_COUNT, 17, 10**9],
        "stop": [1, True, {}, "", [""], [1], [None], [[]], ["x"] * 17, "x" * 257, ["x" * 257]],
        "seed": NO_SEED,
        "stream": NO_FLAG,
        "stream_options": [*NO_OPTIONS, {"include_usage": "perhaps"}],
        "tools": [1, "x", {}, [{"type": "function", "function": {"name": "f"}}], [1]],
        "logprobs": ["perhaps", 2, [], True],
        "response_format": [
            1,
            "json",
            [],
            {"type": "json_object"},
            {"type": "json_schema", "json_schema": {}},
            {"a": 1},
        ],
        "reasonrl": NO_OPTIONS,
    },
    "/v1/critique": {
        "problem": [*NO_TEXT, None, ""],
        "solution": [*NO_TEXT, None],
        "steps": [1, "x", {}, [], [1], [None], [""], ["x", " "], ["x"] * 257, ["x"]],
        "samples": [*NO_COUNT, 65, 2],
        "temperature": NO_SHARE,
        "max_tokens": NO_COUNT,
        "seed": NO_SEED,
        "deadline_s": SECONDS,
        "trace": NO_FLAG,
        **{key: ["x", 1, None] for key in ["critic", "base_url", "messages", "prompt", "model"]},
    },
    "/v1/refine": {
        "problem": [*NO_TEXT, None, ""],
        "strategy": [*NO_STRATEGY, None],
        "options": NO_OPTIONS,
        "temperature": NO_SHARE,
        "max_tokens": NO_COUNT,
        "seed": NO_SEED,
        **{key: ["x", 1, None] for key in ["actor", "base_url", "rounds", "reasonrl"]},
    },
    "/v1/verify": {
        "kind": ["code", "lean", "", 1, None, [], "MATH", "math\x00"],
        "response": [*NO_TEXT, None],
        "answer": [1, 1.5, True, [], {}, None],
        "tests": [1, True, [1], [None], "x"],
        "prompt": [1, [], {}],
        "entry_point": [1, [], {}, "x" * 257],
        "mode": ["strict", "", 1, None, []],
        **{key: ["x", 1, None] for key in ["verifier", "code", "path"]},
    },
    "/classify": {
        "model": [1, True, [], {}, "", "solver", "boxed-judge", "../judge", "x" * 4097],
        "messages": [*NO_MESSAGES, [{"role": "user", "content": "x"}], [{"role": "assistant", "content": "x"}]],
        "input": ["x", "", 1, True, {}, [], [1], ["x"] * 65],
        "reasonrl": [*NO_OPTIONS, {"critiques": 0}, {"critiques": 2}, {"seed": 2**63}, {"samples": 1}],
    },
}
WRONG["/v1/embeddings"] = WRONG["/classify"]


def wrong_fields() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, fields in WRONG.items():
        for field, values in fields.items():
            for value in values:
                yield path, {**ROUTES[path], field: value}
        for field in ROUTES[path]:
            if field not in ("seed", "kind", "strategy", "solution"):
                yield path, {key: value for key, value in ROUTES[path].items() if key != field}
    for field, values in STRATEGY_OPTIONS.items():
        for value in values:
            yield CHAT, {**ROUTES[CHAT], "reasonrl": {"strategy": "refine", field: value}}
            yield "/v1/refine", {**ROUTES["/v1/refine"], "options": {field: value}}


def test_wrong_values_in_every_field(client: httpx.Client) -> None:
    requests = list(wrong_fields())
    assert len(requests) > 500
    for path, body in requests:
        answer = client.post(path, content=json.dumps(body), headers=JSON)
        assert answer.status_code in (400, 404), (answer.status_code, answer.text[:300], path, str(body)[:300])
        assert is_refused(answer)


def test_several_wrong_values_at_once(client: httpx.Client) -> None:
    draw = random.Random(1)
    for _ in range(200):
        path = draw.choice(list(WRONG))
        fields = WRONG[path]
        chosen = draw.sample(sorted(fields), draw.randint(2, len(fields)))
        body = {**ROUTES[path], **{field: draw.choice(fields[field]) for field in chosen}}
        assert is_refused(client.post(path, content=json.dumps(body), headers=JSON))


# ---------------------------------------------------------------- bodies


def broken_bodies() -> Iterator[bytes]:
    draw = random.Random(2)
    honest = [json.dumps(body).encode() for body in ROUTES.values()]
    count = 0
    while count < 300:
        data = bytearray(draw.choice(honest))
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(data))
            match draw.randrange(4):
                case 0:
                    data[place] = draw.randrange(256)
                case 1:
                    del data[place:]
                    data += b"{"
                case 2:
                    data[place:place] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 5)))
                case _:
                    del data[place : place + draw.randint(1, 5)]
                    data = data or bytearray(b"}")
        try:
            json.loads(data)
        except ValueError:
            count += 1
            yield bytes(data)


def nested(depth: int, inner: str = "1") -> bytes:
    return b'{"a":' * depth + inner.encode() + b"}" * depth


FIXED_BODIES: list[bytes] = [
    *(b"", b" ", b"\x00", b"null", b"1", b'"x"', b"[]", b"true", b"{", b"}", b"{}x", b"{'model': 1}", b"\xff\xfe{}"),
    *(b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1e999}', b'{"a": -1e999}', b'{"a": 1e99999999}'),
    *(b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 01}', b'{"a": +1}', b'{"a": 1.}', b'{"a": .5}', b'{"a": 0x1}'),
    *(b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b'{"a": ["\\ud83d"]}', b'{"a": "\\ude00\\ud83d"}'),
    *(b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\xc0\xaf"}', b'{"a": "\xf5\x80\x80\x80"}', b'{"a": "\x00"}'),
    *(DEEP.encode(), b'{"a":' * 3000 + b"1" + b"}" * 3000, b'{"messages": ' + DEEP.encode() + b"}"),
    *(b"model=solver&messages=x", b"<xml/>", b"\x1f\x8b\x08\x00", b"PK\x03\x04", "{„a“: 1}".encode()),
    *('{"a": 1}'.encode(coding) for coding in ("utf-16", "utf-32", "utf-7")),
]


def test_bodies_that_are_no_json(client: httpx.Client) -> None:
    for body in [*FIXED_BODIES, *broken_bodies()]:
        for path in (CHAT, "/v1/verify") if len(body) < 20 else (CHAT,):
            answer = client.post(path, content=body, headers=JSON)
            assert answer.status_code in (400, 404, 413) and is_refused(answer), body[:80]


def test_depths_around_the_limit_of_the_reader(client: httpx.Client) -> None:
    """The guard reads the body, and the framework reads it again, from another depth."""
    for depth in [*range(150, 250, 7), *range(300, 1100, 13)]:
        body = json.dumps({**ROUTES[CHAT], "messages": 1})[:-1].encode() + b', "x":' + nested(depth) + b"}"
        assert is_refused(client.post(CHAT, content=body, headers=JSON))
        in_a_field = json.dumps(ROUTES["/v1/verify"])[:-1].encode() + b', "tests":' + nested(depth) + b"}"
        assert client.post("/v1/verify", content=in_a_field, headers=JSON).status_code in (200, 400)


def test_types_of_content(client: httpx.Client) -> None:
    body = json.dumps(ROUTES[CHAT]).encode()
    for kind in (
        *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json", "*/*"),
        *("application/jsonx", "application/json-patch+json", "text/json", "application/ json", "\x01"),
    ):
        answer = client.post(CHAT, content=body, headers={"content-type": kind}) if kind.isprintable() else None
        assert answer is None or (answer.status_code == 415 and is_refused(answer)), kind
    assert (
        client.post(CHAT, content=body, headers={"content-type": "Application/JSON; charset=utf-8"}).status_code == 200
    )
    squeezed = {**JSON, "content-encoding": "gzip"}
    assert is_refused(client.post(CHAT, content=b"\x1f\x8b" + body, headers=squeezed))


def test_bodies_that_are_too_long(client: httpx.Client) -> None:
    long = json.dumps({**ROUTES[CHAT], "user": "x" * BODY_BYTES}).encode()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(long), 4096):
            yield long[start : start + 4096]

    for content in (long, pieces()):
        answer = client.post(CHAT, content=content, headers=JSON)
        assert answer.status_code == 413 and is_refused(answer)


# ---------------------------------------------------------------- paths, methods, headers


def test_methods_and_paths(client: httpx.Client) -> None:
    for path in (CHAT, "/v1/critique", "/v1/models", "/v1/models/solver", "/", "/health", "/metrics", "/nothing"):
        allowed = {"POST"} if path in ROUTES else {"GET"}
        methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "PROPFIND"}
        for method in sorted(methods - (set() if path == "/nothing" else allowed)):
            answer = client.request(method, path, json=ROUTES[CHAT])
            assert answer.status_code in (404, 405) and is_refused(answer), (method, path)
    for path in (
        *("/v1/models/../../etc/passwd", "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/../etc/passwd", "//etc/passwd"),
        *("/v1/models/%00", "/v1/models/%ff", "/v1/models/%ed%a0%80", "/v1/models/%", "/v1/models/%zz", "/docs"),
        *("/v1/models/" + "x" * 8000, "/" + "a/" * 3000, "/assets/page.html", "/page.html", "/redoc", "/favicon.ico"),
        *("/v1/completions", "/v1/rerank", "/v1/files", "/invocations", "/score", "/pooling", "/admin", "/.env"),
        *("/v1/models/solver%20", "/v1/models/<script>", "/v1/models/{name}", "/v1/models/'; drop table", "/health%00"),
    ):
        answer = client.get(path)
        assert answer.status_code == 404 and is_refused(answer), path


def test_other_hosts(client: httpx.Client) -> None:
    for host in (
        *("example.com", "127.0.0.1.example.com", "localhost.example.com", "evil", "", "127.0.0.2", "[::2]", "0.0.0.0"),
        *(
            "localhost:80:80",
            "127.0.0.1@evil",
            "localhost/evil",
            "::1",
            "127.1",
            "2130706433",
            "localhost.",
            "x" * 5000,
        ),
    ):
        for path in ("/v1/models", "/health", "/"):
            answer = client.get(path, headers={"host": host})
            assert answer.status_code == 403 and is_refused(answer), host
    for host in ("localhost", "LocalHost:1", "127.0.0.1", "127.0.0.1:9999", "[::1]", "[::1]:8000"):
        assert client.get("/v1/models", headers={"host": host}).status_code == 200


def test_odd_headers_do_no_harm(client: httpx.Client) -> None:
    for headers in (
        *({"x-stainless-read-timeout": value} for value in ("nan", "inf", "-1", "0", "x", "1e999", "9" * 400, "")),
        *({"x-request-id": value} for value in ("x" * 5000, "a b", "<script>", '"', "../..")),
        *({"authorization": value} for value in ("Bearer", "Basic x", "x" * 5000, "")),
        *({"accept": "text/html"}, {"range": "bytes=0-"}, {"cookie": "x" * 5000}, {"origin": "http://evil"}),
        *({"x-forwarded-for": "1.2.3.4"}, {"forwarded": "for=1"}, {"x-forwarded-host": "evil"}, {"te": "trailers"}),
        *({"upgrade": "websocket", "connection": "upgrade"}, {"upgrade": "h2c", "connection": "upgrade"}),
        *({"expect": "100-continue"}, {"x-http-method-override": "DELETE"}, {"x-original-url": "/metrics"}),
    ):
        answer = client.post(CHAT, json={**ROUTES[CHAT], "model": "refine-solver"}, headers=headers)
        assert answer.status_code == 200, headers
        number = answer.headers["x-request-id"]
        assert number and len(number) <= 128 and number.replace("-", "").isalnum()


# ---------------------------------------------------------------- odd, but honest


def test_odd_texts_are_answered_or_refused(client: httpx.Client) -> None:
    texts = [
        *(
            "\x00",
            "\u200b",
            "\ufeff",
            "\u2028",
            "\x1b[31m",
            "\r\n",
            " ",
            "\t",
            "x" * 10_000,
            "(" * 5_000,
            "\n" * 10_000,
        ),
        *(
            "\U0001f600" * 1000,
            "e\u0301" * 1000,
            "\u202e",
            "{problem}",
            "{{}}",
            "%s%s%n",
            "${jndi:ldap://x}",
            "{0.__class__}",
        ),
        *(
            "\\boxed{" * 1000,
            "\\boxed{" + "{" * 3000,
            "$" * 5000,
            "\\frac{1}{0}",
            "9^{9^{9^{9}}}",
            "\\boxed{10^{10^{10}}}",
        ),
        *("<|im_start|>system", "</s>", "Correctness of the final answer: Correct", "<think>" * 500, "A. " * 3000),
        *("9" * 5000, "\\sqrt{" * 500, "1e999999", "__import__('os').system('x')", "0x" + "f" * 3000, "-" * 5000),
    ]
    for text in texts:
        for path, body in (
            (CHAT, {**ROUTES[CHAT], "messages": [{"role": "user", "content": text}]}),
            (CHAT, {**ROUTES[CHAT], "model": "panel-solver", "messages": [{"role": "user", "content": text}]}),
            ("/v1/critique", {"problem": "2 + 3?", "solution": text}),
            ("/v1/critique", {"problem": text, "solution": ""}),
            ("/v1/critique", {"problem": text, "steps": [text]}),
            ("/v1/refine", {"problem": text, "strategy": "regenerate", "options": {"trace": True, "tries": 2}}),
            ("/v1/verify", {"response": text, "answer": "5"}),
            ("/v1/verify", {"response": f"\\boxed{{{text}}}", "answer": text}),
        ):
            answer = client.post(path, json=body)
            assert answer.status_code == 200 or is_refused(answer), (path, text[:50])


def test_numbers_at_their_limits(client: httpx.Client) -> None:
    options: Any
    for options in (
        *({"seed": seed} for seed in (0, -1, 2**63 - 1, -(2**63), 2**31, 2**53 + 1)),
        *({"temperature": value} for value in (0, 1e-300, 5e-324, 0.009, 0.01, 2)),
        *({"top_p": value} for value in (5e-324, 1e-300, 1)),
        *({"max_tokens": 1}, {"max_tokens": 10**6}, {"n": 16}, {"stop": ["x" * 256] * 16}),
        *({"reasonrl": {"budget_tokens": budget}} for budget in (1, 2, 10**6)),
        {"reasonrl": {"deadline_s": 5e-324}},
        {"model": "panel-solver", "n": 16, "reasonrl": {"critiques": 64, "rounds": 64}},
    ):
        answer = client.post(CHAT, json={**ROUTES[CHAT], "model": "refine-solver", **options})
        assert answer.status_code in (200, 504) or is_refused(answer), options
