"""The guard, tried as an attacker would: an application behind it writes down what reaches it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import pytest

from hpsearch.ui import guard as module
from hpsearch.ui.access import Access, Password, Token
from hpsearch.ui.allowed import BROWSE, RECORD
from hpsearch.ui.content import LARGEST, Artifact
from hpsearch.ui.guard import Guard, Message

HOST = "127.0.0.1:5000"
RUN = "0123456789abcdef" * 2
SECRET = "s3cret-token"
COOKIE = {"cookie": f"hpsearch-ui-5000={SECRET}"}
BASIC = {"authorization": "Basic " + base64.b64encode(b"hpsearch:correct horse").decode()}
JSON = {"content-type": "application/json"}
SEARCH = "/ajax-api/2.0/mlflow/runs/search"
UPLOAD = f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts/report/f.png"


class Behind:
    """The application behind the guard, and what is answered in the end."""

    def __init__(self, access: Access | None = None, *, records: bool = False) -> None:
        self.reached: list[dict[str, Any]] = []
        self.asked: list[Artifact] = []
        self.guard = Guard(
            self.app,
            hosts={HOST, "localhost:5000"},
            access=access or Token(SECRET, "hpsearch-ui-5000"),
            rules=BROWSE + RECORD if records else BROWSE,
            inside=self.inside,
        )

    def inside(self, artifact: Artifact) -> bool:
        self.asked.append(artifact)
        return artifact.run == RUN

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("the client is gone")
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.reached.append({**scope, "body": body})
        headers = [
            (b"access-control-allow-origin", b"http://localhost:9999"),
            (b"set-cookie", b"a=b"),
            (b"content-type", b"text/plain"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"MLflow"})

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | list[bytes] = b"",
        *,
        host: str | None = HOST,
        **headers: str | list[str],
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request as a server would hand it on, and give its answer."""
        path, _, query = target.partition("?")
        given = [] if host is None else [("host", host)]
        for name, value in headers.items():
            values = value if isinstance(value, list) else [value]
            given += [(name.replace("_", "-"), each) for each in values]
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "/elsewhere",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given],
        }
        chunks = body if isinstance(body, list) else [body]
        waiting = [
            {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
            for index, chunk in enumerate(chunks)
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        asyncio.run(self.guard(scope, receive, send))
        start, *rest = sent
        assert [m["type"] for m in sent if "status" in m] == ["http.response.start"]
        answered = {name.decode(): value.decode() for name, value in start["headers"]}
        assert len(answered) == len(start["headers"])
        return start["status"], answered, b"".join(message["body"] for message in rest)

    def status(self, *words: Any, **options: Any) -> int:
        """The status alone; only a 200 has reached the application."""
        before = len(self.reached)
        status, _, _ = self.ask(*words, **options)
        assert len(self.reached) - before == (status == 200)
        return status


@pytest.fixture
def browser() -> Behind:
    """What a browser sees of ``hpsearch ui``."""
    return Behind()


@pytest.fixture
def server() -> Behind:
    """What the network sees of ``hpsearch ui --serve``."""
    return Behind(Password("hpsearch", "correct horse"), records=True)


# -- who


def test_the_token_opens(browser: Behind) -> None:
    """The printed address gives a cookie that no script reads and no other site sends."""
    status, headers, page = browser.ask("GET", f"/?token={SECRET}")
    assert (status, browser.reached) == (200, [])
    kept = f"hpsearch-ui-5000={SECRET}; Path=/; HttpOnly; SameSite=Strict"
    assert (kept, "no-store") == (headers["set-cookie"], headers["cache-control"])
    assert SECRET.encode() not in page
    assert browser.status("GET", "/", **COOKIE) == 200


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?token=",
        "/?token=other",
        f"/?token={SECRET}x",
        f"/?token={SECRET}&token={SECRET}",
        f"/?x=1&token={SECRET}",
        f"/version?token={SECRET}",
        f"//?token={SECRET}",
        "/version",
        "/health",
        "/get-artifact",
        "/nothing",
    ],
)
def test_strangers_see_nothing(browser: Behind, target: str) -> None:
    """Without the token, every page is the same refusal, whether it exists or not."""
    status, headers, body = browser.ask("GET", target)
    assert (status, browser.reached) == (403, [])
    assert b"printed" in body
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "hpsearch-ui-5000=",
        f"hpsearch-ui-5001={SECRET}",
        f"hpsearch-ui-5000={SECRET}x",
        f"hpsearch-ui-5000={SECRET[:-1]}",
        f"HPSEARCH-UI-5000={SECRET}",
        f"x=hpsearch-ui-5000={SECRET}",
        "hpsearch-ui-5000=\u00e9",
    ],
)
def test_wrong_cookies(browser: Behind, cookie: str) -> None:
    """A cookie that is not the one that was given opens nothing."""
    assert browser.status("GET", "/version", cookie=cookie) == 403


def test_cookie_among_others(browser: Behind) -> None:
    """A cookie of the same name that another program on this host set does not lock out."""
    cookies = f"a=b; hpsearch-ui-5000=planted; hpsearch-ui-5000={SECRET}"
    assert browser.status("GET", "/version", cookie=cookies) == 200


def test_the_password_opens(server: Behind) -> None:
    """Basic authentication, by user and password, and nothing else."""
    assert server.status("GET", "/version", **BASIC) == 200
    status, headers, _ = server.ask("GET", "/version")
    assert (status, headers["www-authenticate"]) == (401, 'Basic realm="hpsearch", charset="UTF-8"')
    for wrong in ("hpsearch:", "hpsearch:correct hors", "admin:correct horse", ":", "hpsearch"):
        coded = base64.b64encode(wrong.encode()).decode()
        assert server.status("GET", "/version", authorization=f"Basic {coded}") == 401
    for wrong in ("", "Basic", "Basic !", "Basic \u00ff", f"Bearer {SECRET}", "Basic //8="):
        assert server.status("GET", "/version", authorization=wrong) == 401
    other = BASIC["authorization"].replace("Basic", "Digest")
    assert server.status("GET", "/version", authorization=other) == 401
    twice = [BASIC["authorization"], BASIC["authorization"]]
    assert server.status("GET", "/version", authorization=twice) == 401
    assert server.status("GET", f"/?token={SECRET}") == 401


def test_health_is_for_everyone(server: Behind) -> None:
    """Whether the server is up is no secret, and asks nothing of MLflow."""
    assert server.ask("GET", "/health")[::2] == (200, b"OK")
    assert server.reached == []
    for target in ("/health?x", "/health/", "//health"):
        assert server.status("GET", target) == 401


# -- from where


@pytest.mark.parametrize(
    "host",
    [None, "", "127.0.0.1", "127.0.0.1:5001", "evil.example:5000", f"{HOST},evil", "[::1]:5000"],
)
def test_other_names(browser: Behind, host: str | None) -> None:
    """A name that was made to point here, or another port, is refused, token or not."""
    assert browser.status("GET", "/version", host=host, **COOKIE) == 403
    assert browser.status("GET", f"/?token={SECRET}", host=host) == 403


def test_host_twice(browser: Behind) -> None:
    """Two names are none."""
    assert browser.status("GET", "/version", host=None, Host=[HOST, HOST], **COOKIE) == 403


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://127.0.0.1:9999",
        "http://localhost:5000",
        f"https://{HOST}",
        "http://evil",
    ],
)
def test_other_origins(browser: Behind, origin: str) -> None:
    """A page on any other port of this machine is another origin, whatever it sends."""
    assert browser.status("POST", SEARCH, b"{}", origin=origin, **COOKIE, **JSON) == 403
    assert browser.status("GET", "/version", origin=origin, **COOKIE) == 403


def test_own_origin(browser: Behind) -> None:
    """The UI's own pages may write."""
    own = {"origin": f"http://{HOST}", "sec_fetch_site": "same-origin"}
    assert browser.status("POST", SEARCH, b"{}", **own, **COOKIE, **JSON) == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", ["none", "cross-site"]])
def test_other_sites(browser: Behind, site: str | list[str]) -> None:
    """A browser says that another page asks; only the printed address may be opened from there."""
    assert browser.status("GET", "/version", sec_fetch_site=site, **COOKIE) == 403
    status, _, page = browser.ask("GET", f"/?token={SECRET}", sec_fetch_site=site)
    assert (status, b"location.replace" in page) == (200, True)


# -- what


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("PUT", "/ajax-api/3.0/mlflow/assistant/config"),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("POST", "/ajax-api/2.0/mlflow/experiments/create"),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact"),
        ("PUT", UPLOAD),
        ("POST", "/ajax-api/3.0/mlflow/webhooks"),
        ("POST", "/gateway/mlflow/v1/chat/completions"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("POST", "/v1/traces"),
        ("GET", "/model-versions/get-artifact?name=m&version=1&path=x"),
        ("POST", "/ajax-api/2.0/mlflow/runs/delete"),
        ("HEAD", "/version"),
        ("OPTIONS", SEARCH),
        ("GET", "/graphql?query={test}"),
        ("POST", "/ajax-api/2.0/mlflow/gateway-proxy"),
    ],
)
def test_not_served(browser: Behind, method: str, target: str) -> None:
    """What is not on the list is not there, for its owner either."""
    override = {"x_http_method_override": "GET", "x_forwarded_prefix": "/x"}
    assert browser.status(method, target, b"{}", **override, **COOKIE, **JSON) == 404


def test_websockets_are_closed(browser: Behind) -> None:
    """No conversation is begun, with the cookie or without."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(browser.guard(scope, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert browser.reached == []


def test_mlflow_sees_neither_secret_nor_header(browser: Behind) -> None:
    """What reaches MLflow is written anew: path, query, and the headers that it needs."""
    extra = {
        "authorization": "Basic eA==",
        "x_forwarded_for": "10.0.0.1",
        "x_mlflow_workspace": "other",
        "accept": "text/html",
        "transfer_encoding": "chunked",
    }
    target = "/ajax-api/2.0/mlflow/experiments/get?experiment_id=1%26x"
    assert browser.status("GET", target, **extra, **COOKIE) == 200
    (scope,) = browser.reached
    assert {b"host": HOST.encode(), b"accept": b"text/html"} == dict(scope["headers"])
    assert ("", target.partition("?")[0].encode()) == (scope["root_path"], scope["raw_path"])
    assert scope["query_string"] == b"experiment_id=1%26x"


def test_answers_open_to_nobody_else(browser: Behind) -> None:
    """MLflow's own leave for other origins and its cookies do not get out; ours stand in."""
    _, headers, body = browser.ask("GET", "/version", **COOKIE)
    assert body == b"MLflow"
    assert [name for name in headers if name.startswith(("access-control", "set-cookie"))] == []
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "target",
    [
        "/version?x=1",
        "/?experiment_id=1",
        "/get-artifact?run_id={run}&path=a&artifact_location=/etc",
        "/ajax-api/2.0/mlflow/experiments/get?experiment_id=1&artifact_location=/etc",
        "/ajax-api/2.0/mlflow/experiments/get?experiment_id=1&&",
        "/ajax-api/2.0/mlflow/experiments/get?experiment_id=%ff",
        "/ajax-api/2.0/mlflow/experiments/get?experiment_id",
    ],
)
def test_foreign_names_in_a_query(browser: Behind, target: str) -> None:
    """A query names what its rule allows, or does not pass."""
    assert browser.status("GET", target.format(run=RUN), **COOKIE) in (400, 404)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"{}"',
        b"null",
        b"{",
        b"\xff",
        b'{"experiment_ids": ["1"], "artifact_location": "file:///etc"}',
        b"[" * 100_000,
        b'{"max_results": ' + b"9" * 5000 + b"}",
    ],
)
def test_foreign_bodies(browser: Behind, body: bytes) -> None:
    """A body is one JSON object with the names of its rule."""
    assert browser.status("POST", SEARCH, body, **COOKIE, **JSON) in (400, 404)


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_only_json(browser: Behind, kind: str) -> None:
    """What a form of another page could send is not read."""
    assert browser.status("POST", SEARCH, b"{}", content_type=kind, **COOKIE) == 400


def test_json_is_written_anew(browser: Behind) -> None:
    """MLflow reads the names and numbers that were judged: the last of a name that comes twice."""
    body = b'{"max_results": 1, "max_results":2, "filter": "\\u00e9\xc3\xa9", "order_by": [0.1]}'
    assert browser.status("POST", SEARCH, body, **COOKIE, **JSON) == 200
    (scope,) = browser.reached
    expected = {"max_results": 2, "filter": "éé", "order_by": [0.1]}
    assert expected == json.loads(scope["body"])
    assert scope["body"].count(b"max_results") == 1
    assert dict(scope["headers"])[b"content-length"] == str(len(scope["body"])).encode()


def test_bodies_have_no_query(browser: Behind) -> None:
    """What a body may name, a query beside it may not."""
    assert browser.status("POST", f"{SEARCH}?filter=x", b"{}", **COOKIE, **JSON) == 404


def test_queries_are_written_anew(browser: Behind) -> None:
    """MLflow reads the names and values that were judged, however they were escaped."""
    target = "/ajax-api/2.0/mlflow/experiments/get-by-name?%65xperiment_name=a%20%7e%2b+%C3%A9"
    assert browser.status("GET", target, **COOKIE) == 200
    (scope,) = browser.reached
    assert scope["query_string"] == b"experiment_name=a+~%2B+%C3%A9"


def test_queries_have_no_body(browser: Behind) -> None:
    """A GET that brings a body is refused: MLflow would read it in the query's place."""
    target = "/ajax-api/2.0/mlflow/artifacts/list"
    assert browser.status("GET", f"{target}?run_id={RUN}", b"{}", **COOKIE) == 413


def test_large_bodies(browser: Behind) -> None:
    """A body that is too large is not read to its end."""
    chunk = b" " * (LARGEST // 4)
    chunks = [chunk] * 40
    assert browser.status("POST", SEARCH, chunks, **COOKIE, **JSON) == 413


# -- artifacts


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"/get-artifact?run_id={RUN}&path=a/b.txt", Artifact(RUN, "a/b.txt")),
        (f"/get-artifact?path=b.txt&run_uuid={RUN}", Artifact(RUN, "b.txt")),
        (f"/ajax-api/2.0/mlflow/artifacts/list?run_uuid={RUN}", Artifact(RUN, "")),
        (f"/ajax-api/2.0/mlflow/artifacts/list?run_id={RUN}&path=a", Artifact(RUN, "a")),
    ],
)
def test_artifacts_are_looked_at_first(browser: Behind, target: str, expected: Artifact) -> None:
    """Whether an artifact lies where artifacts are is asked of the very run and path."""
    assert browser.status("GET", target, **COOKIE) == 200
    assert [expected] == browser.asked


@pytest.mark.parametrize(
    "target",
    [
        "/get-artifact",
        "/get-artifact?path=a",
        f"/get-artifact?run_id={RUN}&run_uuid={'f' * 32}&path=a",
        f"/get-artifact?run_id=&run_uuid={RUN}&path=a",
        f"/get-artifact?run_id={RUN}&run_id={'f' * 32}&path=a",
        f"/get-artifact?run_id={RUN}&path=a&path=../b",
        f"/get-artifact?run_id={'f' * 32}&path=a",
    ],
)
def test_artifacts_named_twice_or_elsewhere(browser: Behind, target: str) -> None:
    """One run, one path, and both where artifacts are; everything else is not there."""
    assert browser.status("GET", target, **COOKIE) == 404


def test_uploads(server: Behind) -> None:
    """A file goes to the folder of the run that it names, as it comes."""
    assert server.status("PUT", UPLOAD, [b"a", b"b"], **BASIC, content_type="image/png") == 200
    (scope,) = server.reached
    assert (scope["body"], dict(scope["headers"])[b"content-type"]) == (b"ab", b"image/png")
    assert [Artifact(RUN, "report/f.png", "1")] == server.asked
    other = UPLOAD.replace(RUN, "f" * 32)
    assert server.status("PUT", other, b"x", **BASIC) == 404
    assert server.status("PUT", f"{UPLOAD}?path=x", b"x", **BASIC) == 404
    listed = "/api/2.0/mlflow-artifacts/artifacts?path="
    assert server.status("GET", f"{listed}1/{RUN}/artifacts", **BASIC) == 200
    assert Artifact(RUN, "", "1") == server.asked[-1]
    for path in ("", "1", f"1/{RUN}", f"1/{RUN}/artifacts/..", f"1/{RUN}/artifacts/%2e%2e", "/etc"):
        assert server.status("GET", listed + path, **BASIC) == 404


def test_large_uploads(server: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is too large is thrown away where it is too much."""
    monkeypatch.setattr(module, "LARGEST_FILE", 10)
    assert server.status("PUT", UPLOAD, [b"12345", b"67890"], **BASIC) == 200
    assert server.status("PUT", UPLOAD, [b"12345", b"67890", b"x"], **BASIC) == 413


# -- GraphQL


QUERIES = [
    'query Q($input: MlflowGetExperimentInput!) @component(name: "x") '
    "{ mlflowGetExperiment(input: $input) { experiment { name } } }",
    "query GetRun($d: MlflowGetRunInput!) { mlflowGetRun(input: $d) { ...F } } "
    "fragment F on MlflowGetRunResponse { run { info { runName } } }",
    "{ a: mlflowSearchRuns(input: {}) { runs { info { runId } } } __typename }",
]
OTHERS = [
    "",
    "{",
    "mutation { mlflowSearchRuns(input: {}) { runs { info { runId } } } }",
    "subscription { mlflowGetRun { run } }",
    '{ mlflowListArtifacts(input: {runId: "x"}) { files { path } } }',
    "{ mlflowGetRun: mlflowListArtifacts(input: {}) { files { path } } }",
    "{ mlflowGetRun(input: {}) { run } mlflowListArtifacts(input: {}) { files { path } } }",
    "{ __schema { types { name } } }",
    '{ test(inputString: "x") { output } }',
    "{ ... { mlflowListArtifacts(input: {}) { files { path } } } }",
    "{ ...F } fragment F on Query { mlflowListArtifacts(input: {}) { files { path } } }",
    "query A { mlflowGetRun { run } } query B { mlflowListArtifacts { files } }",
    "query A { mlflowGetRun { run } } mutation B { testMutation { output } }",
    "type A { b: Int }",
    "extend type Query { a: Int } query { mlflowGetRun { run } }",
    "{" * 100_000,
    "{ mlflowGetRun(input: " + "[" * 1000 + "]" * 1000 + ") { run } }",
    "{ mlflowGetRun { " + "a " * 10_000 + "} }",
]


def _graphql(behind: Behind, **document: Any) -> int:
    body = json.dumps(document).encode()
    return behind.status("POST", "/graphql", body, **COOKIE, **JSON)


@pytest.mark.parametrize("query", QUERIES)
def test_graphql_queries(browser: Behind, query: str) -> None:
    """What the UI asks for passes."""
    assert _graphql(browser, query=query, operationName="Q", variables={"input": {}}) == 200


@pytest.mark.parametrize("query", OTHERS)
def test_graphql_beyond(browser: Behind, query: str) -> None:
    """Nothing that writes, lists files, explains itself or costs the parser dear passes."""
    assert _graphql(browser, query=query) == 404


def test_graphql_documents(browser: Behind) -> None:
    """A document is one query, not a batch of them nor a stored one."""
    assert _graphql(browser, query=QUERIES[0], extensions={"persistedQuery": {}}) == 404
    assert _graphql(browser, operationName="Q") == 404
    assert _graphql(browser, query=[QUERIES[0]]) == 404
    body = json.dumps([{"query": QUERIES[0]}]).encode()
    assert browser.status("POST", "/graphql", body, **COOKIE, **JSON) == 400
