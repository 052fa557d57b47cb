"""The web service, asked over HTTP, and its page, used in a browser."""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from shallow_ae import LogCountTransformer, ShallowAutoEncoder, make_recommender, save_model
from shallow_ae.datasets import make_listens
from shallow_ae.serving import ServingRecommender

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "web_service"
# Names that a page or an address may damage, for popular songs.
NAMES = ["<img src=x onerror=alert(1)>", "Björk & Co", "50% / #1?"]
PATIENCE = 120  # seconds, on a machine that compiles everything and has no core free

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the tests stop the service by SIGTERM"),
]


@contextmanager
def running(program, *arguments, log):
    """Start a program of the service in a process of its own, which is gone at the end."""
    command = [sys.executable, "-W", "error", FOLDER / program, *arguments, "--port", "0"]
    with (
        open(log, "wb") as file,
        subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield SimpleNamespace(process=process, port=port_of(process, log), log=log)
        finally:
            process.kill()


def port_of(process, log):
    """Return the port that a starting service tells."""
    for _ in until(PATIENCE):
        told = log.read_text(encoding="utf-8")
        if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", told):
            return int(found[1])
        assert process.poll() is None, told
    raise AssertionError(told)


def until(seconds):
    """Count in small steps of time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.01)


def ask(service, path, body=None, **parameters):
    """Return status and answer; `body` is posted as JSON, or as it is if it is bytes."""
    address = f"{path}?{urlencode(parameters)}" if parameters else path
    method = "GET" if body is None else "POST"
    content = json.dumps(body) if isinstance(body, dict) else body
    with closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)) as connection:
        connection.request(method, address, content)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def told(service, path, body=None, **parameters):
    """Return the answer to a request that is answered."""
    status, answer = ask(service, path, body, **parameters)
    assert status == 200, answer
    return answer


@pytest.fixture(scope="module")
def listens():
    listens, _ = make_listens(300, 120, random_state=0)
    popular = listens["item"].value_counts().index[: len(NAMES)]
    return listens.replace({"item": dict(zip(popular, NAMES, strict=True))})


@pytest.fixture(scope="module")
def recommenders(listens):
    """Return two models of the same listens."""
    return [
        make_recommender(
            LogCountTransformer(), ShallowAutoEncoder(solver="exact", regularization=regularization)
        ).fit(listens)
        for regularization in (0.5, 5.0)
    ]


@pytest.fixture(scope="module")
def model_path(recommenders, listens, tmp_path_factory):
    """Return the path of a model file, which has a file of listens beside it."""
    folder = tmp_path_factory.mktemp("web_service")
    with closing(sqlite3.connect(folder / "listens.sqlite")) as connection, connection:
        listens.to_sql("listens", connection, index=False)
    save_model(recommenders[0], folder / "model.safetensors")
    return folder / "model.safetensors"


@pytest.fixture(scope="module")
def service(model_path):
    listens = model_path.with_name("listens.sqlite")
    log = model_path.with_name("log")
    with running("service.py", model_path, listens, log=log) as service:
        yield service
        assert "Traceback" not in log.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def library(model_path, service):
    return ServingRecommender.load(model_path)


@pytest.fixture
def own_service(recommenders, model_path, tmp_path):
    """Return a service that a test may stop, and whose model file it may replace."""
    path = tmp_path / "model.safetensors"
    save_model(recommenders[0], path)
    listens = model_path.with_name("listens.sqlite")
    with running("service.py", path, listens, log=tmp_path / "log") as service:
        service.path = path
        yield service


def entries(items, **numbers):
    """Return items with their numbers, as the service answers."""
    ((name, values),) = numbers.items()
    return [{"item": item, name: value} for item, value in zip(items, values, strict=True)]


def of(listens, user):
    own = listens[listens["user"] == user]
    return dict(zip(own["item"], own["count"], strict=True))


def test_a_known_user_gets_what_the_library_recommends(service, library, listens, recommenders):
    user = listens["user"][0]
    answer = told(service, "/recommend", user=user, k=7)
    best = library.recommend(of(listens, user), 7)
    users = dict(zip(library.items, library.item_counts.tolist(), strict=True))
    expected = entries(best.items, score=best.scores)
    assert answer["recommendations"] == [{**e, "users": users[e["item"]]} for e in expected]
    assert answer["by_popularity"] is False
    frame = recommenders[0].recommend(listens[listens["user"] == user], 7)
    assert [e["item"] for e in answer["recommendations"]] == frame["item"].tolist()


@pytest.mark.parametrize(
    "history",
    [[NAMES[0], NAMES[2], NAMES[0], "unheard of"], {NAMES[0]: 3, NAMES[2]: 1.5, "unheard of": 2}],
)
def test_a_history_gets_what_the_library_recommends_and_explains(service, library, history):
    asked = {"history": history, "k": 5, "reasons": 2, "exclude": [NAMES[1], "unheard of"]}
    answer = told(service, "/recommend", asked)
    best = library.recommend(history, 5, exclude=[NAMES[1]])
    assert [e["item"] for e in answer["recommendations"]] == best.items
    assert [e["score"] for e in answer["recommendations"]] == best.scores
    assert answer["unknown"] == ["unheard of"]
    for entry in answer["recommendations"]:
        reasons = library.explain(history, entry["item"], 2)
        assert entry["reasons"] == entries(reasons.items, contribution=reasons.scores)


def test_a_history_without_known_items_gets_the_popular_ones(service):
    answer = told(service, "/recommend", {"history": ["unheard of"], "k": 3, "reasons": 2})
    assert answer["by_popularity"] is True
    assert [e["item"] for e in answer["recommendations"]] == NAMES
    assert all(e["score"] == e["users"] and "reasons" not in e for e in answer["recommendations"])


def test_reasons_and_similar_items_are_those_of_the_library(service, library, listens):
    user, item = listens["user"][0], NAMES[2]
    reasons = library.explain(of(listens, user), item, 3)
    expected = {"item": item, "reasons": entries(reasons.items, contribution=reasons.scores)}
    assert told(service, "/explain", user=user, item=item, k=3) == expected
    history = {"history": of(listens, user), "item": item, "k": 3}
    assert told(service, "/explain", history) == expected
    similar = library.similar_items(item, 4)
    expected = {"item": item, "similar": entries(similar.items, score=similar.scores)}
    assert told(service, "/similar", item=item, k=4) == expected


def test_items_are_found_by_a_part_of_their_name(service, library):
    answer = told(service, "/items", query="BJORK")
    assert answer == {"items": [{"item": NAMES[1], "users": max_users(library, 1)}], "found": 1}
    popular = told(service, "/items", k=3)
    assert [entry["item"] for entry in popular["items"]] == NAMES
    assert popular["found"] == len(library)
    assert told(service, "/items", query="no such name") == {"items": [], "found": 0}


def max_users(library, place):
    return sorted(library.item_counts.tolist(), reverse=True)[place]


def test_health_tells_that_the_file_is_read(service, library):
    health = told(service, "/health")
    assert health.pop("model_read_at").endswith("+00:00")
    assert health == {"status": "ok", "error": "", "items": len(library)}


HISTORY = {"history": [NAMES[0]]}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/recommend", None, 400, "Expected either `user` or"),
        ("/recommend?user=nobody", None, 404, "`user`='nobody' has no listens."),
        ("/recommend?user=user_000&k=0", None, 400, "`k`='0': expected a whole number from 1 to"),
        ("/recommend?user=user_000&k=101", None, 400, "`k`='101': expected a whole number"),
        ("/recommend?user=user_000&k=many", None, 400, "`k`='many': expected a whole number"),
        ("/recommend?user=user_000&n=5", None, 400, "`n` is unknown: expected `k`, `reasons`"),
        ("/recommend", b'{"history": ', 400, "The body is no valid JSON"),
        ("/recommend", b"\xff", 400, "The body is no valid JSON"),
        ("/recommend", b'{"user": "\\ud800"}', 400, "The body is no valid JSON"),
        ("/recommend", b"[" * 100_000, 400, "The body is no valid JSON"),
        ("/recommend", b"[1, 2]", 400, "The body must be a JSON object, got [1, 2]."),
        ("/recommend", b" " * (2**20 + 1), 413, "The body has more than 1,048,576 bytes."),
        ("/recommend", {"history": "Kashmir"}, 400, "`history` must be a list of items"),
        ("/recommend", {"history": [["Kashmir"]]}, 400, "`history` must be a list of items"),
        ("/recommend", {"history": {"Kashmir": "3"}}, 400, "the count '3' for 'Kashmir'"),
        ("/recommend", {"history": {"Kashmir": -1}}, 400, "the count -1 for 'Kashmir'"),
        ("/recommend", b'{"history": {"Kashmir": NaN}}', 400, "the count nan for 'Kashmir'"),
        ("/recommend", {"history": {"Kashmir": 10**400}}, 400, "expected a number above 0"),
        ("/recommend", {"history": ["Kashmir"] * 1001}, 400, "1,001 items: expected 1,000 at"),
        ("/recommend", {**HISTORY, "k": 2.5}, 400, "`k`='2.5': expected a whole number"),
        ("/recommend", {**HISTORY, "exclude": "Clocks"}, 400, "`exclude` must be a list of items"),
        ("/recommend", {**HISTORY, "user": "ann"}, 400, "Expected either `user` or"),
        ("/explain", HISTORY, 400, "Expected `item`"),
        ("/explain", {**HISTORY, "item": "Clocks"}, 404, "`item`='Clocks' is unknown: /items"),
        ("/similar?item=Clocks", None, 404, "`item`='Clocks' is unknown: /items lists"),
        ("/similar", None, 400, "Expected `item`"),
        ("/nowhere", None, 404, "Not Found"),
        ("/health", b"", 405, "Method Not Allowed"),
    ],
)
def test_a_bad_request_is_told_what_was_expected(service, path, body, status, message):
    found, answer = ask(service, path, body)
    assert found == status
    assert message in answer["error"]


def test_a_new_model_is_served_at_once_and_no_request_fails(own_service, recommenders, tmp_path):
    asked, expected = {"history": NAMES, "k": 5, "reasons": 2}, []
    for number, recommender in enumerate(recommenders):
        save_model(recommender, tmp_path / f"{number}.safetensors")
        best = ServingRecommender.load(tmp_path / f"{number}.safetensors").recommend(NAMES, 5)
        expected.append(best.scores)
    assert expected[0] != expected[1]
    stopped = Event()

    def scores():
        answer = told(own_service, "/recommend", asked)["recommendations"]
        assert all(len(entry["reasons"]) == 2 for entry in answer)
        return [entry["score"] for entry in answer]

    def keep_asking(_):
        answers = []
        while not stopped.is_set():
            answers.append(scores())
            stopped.wait(0.005)
        return answers

    waits = []
    with ThreadPoolExecutor(8) as pool:
        threads = [pool.submit(keep_asking, number) for number in range(8)]
        try:
            for turn in range(1, 8):
                save_model(recommenders[turn % 2], own_service.path)
                start = time.monotonic()
                for _ in until(PATIENCE):
                    if scores() == expected[turn % 2]:
                        break
                waits.append(time.monotonic() - start)
        finally:
            stopped.set()
        answers = [answer for thread in threads for answer in thread.result()]
    assert len(answers) > 8 * len(waits)
    assert all(answer in expected for answer in answers)
    assert sorted(waits)[len(waits) // 2] < 1  # the middle one, as the machine may be busy


def test_a_broken_or_missing_file_leaves_the_model_in_service(own_service, recommenders):
    before = told(own_service, "/recommend", HISTORY)
    kept = own_service.path.with_name("kept")

    def status_becomes(status):
        for _ in until(PATIENCE):
            health = told(own_service, "/health")
            if health["status"] == status:
                break
        assert health["status"] == status
        assert told(own_service, "/recommend", HISTORY) == before
        return health["error"]

    own_service.path.rename(kept)
    assert str(own_service.path) in status_becomes("stale")
    kept.rename(own_service.path)
    assert status_becomes("ok") == ""
    own_service.path.write_bytes(b"no model")
    assert str(own_service.path) in status_becomes("stale")
    save_model(recommenders[0], own_service.path)
    assert status_becomes("ok") == ""


def test_sigterm_lets_a_request_end_and_is_no_failure(own_service):
    body = json.dumps(HISTORY).encode()
    head = f"POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", own_service.port), timeout=60) as connection:
        connection.sendall(head.encode() + body[:5])
        assert told(own_service, "/health")["status"] == "ok"  # later: the head has been read
        own_service.process.send_signal(signal.SIGTERM)
        for _ in until(PATIENCE):
            if "Shutting down" in own_service.log.read_text(encoding="utf-8"):
                break
        connection.sendall(body[5:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")
    assert own_service.process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["model.safetensors", "empty"], "has no table `listens` of user, item and count"),
        (["empty", "listens.sqlite"], "empty"),
        (["missing", "listens.sqlite"], "missing"),
    ],
)
def test_files_that_cannot_be_served_are_refused(model_path, files, message):
    model_path.with_name("empty").touch()
    command = [sys.executable, FOLDER / "service.py", *map(model_path.with_name, files)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr


def test_the_service_loads_neither_jax_nor_pandas(model_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import service, pathlib;"
        "service.ModelFile(pathlib.Path(sys.argv[2])); print({'jax', 'pandas'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, FOLDER, model_path]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.slow
def test_the_demo_serves_what_it_makes(tmp_path):
    with running("demo.py", "--folder", tmp_path, log=tmp_path / "log") as service:
        found = told(service, "/items", query="radio", k=1)["items"][0]
        assert found["item"].split()[1] == "Radio"
        answer = told(service, "/recommend", {"history": [found["item"]], "k": 3})
        assert len(answer["recommendations"]) == 3
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE) == 0
    assert {"model.safetensors", "listens.sqlite"} <= {path.name for path in tmp_path.iterdir()}


# The page


@pytest.fixture(params=[(1280, 800), (390, 844)], ids=["desktop", "phone"])
def page(browser, service, request):
    """Return the page in a window of each size; no message may be on its console at the end."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    page, messages = context.new_page(), []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: (messages.append(dialog.message), dialog.dismiss()))
    page.messages = messages
    with closing(context):
        page.goto(f"http://127.0.0.1:{service.port}/")
        yield page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert messages == []


def recommended(page):
    """Return the names of the recommendations, once they are those of the present picks."""
    n_picks = page.get_by_role("list", name="Your picks").get_by_role("listitem").count()
    page.get_by_text(f"10 artists from {n_picks} pick").wait_for()
    return page.locator("#list .name").all_inner_texts()


def best(service, *picks):
    answer = told(service, "/recommend", {"history": picks and list(picks), "k": 10})
    return [entry["item"] for entry in answer["recommendations"]]


def test_artists_are_picked_and_removed_by_keyboard(page, service):
    page.get_by_text("Nothing picked yet").wait_for()
    field = page.get_by_role("combobox", name="Find an artist")
    field.focus()
    page.keyboard.insert_text("song_0")  # at once, so that one answer makes the list
    page.get_by_role("option").nth(7).wait_for()
    page.keyboard.press("ArrowDown")
    song = page.get_by_role("option", selected=True).locator("span").inner_text()
    assert song == told(service, "/items", query="song_0")["items"][1]["item"]
    page.keyboard.press("Enter")
    assert recommended(page) == best(service, song)
    page.keyboard.type("bjork")
    page.get_by_role("option", name=NAMES[1]).wait_for()
    page.keyboard.press("Enter")
    assert recommended(page) == best(service, song, NAMES[1])

    first = page.locator("#list > li").first
    assert "Because you picked" in first.inner_text()
    reasons = first.locator(".because").all_inner_texts()
    assert reasons
    assert set(reasons) <= {song, NAMES[1]}
    assert first.locator(".fill").first.bounding_box()["width"] > 10

    page.get_by_role("button", name=f"Remove {song}").focus()
    page.keyboard.press("Enter")
    assert recommended(page) == best(service, NAMES[1])
    page.keyboard.press("Enter")  # the focus is on the other pick
    page.get_by_text("Nothing picked yet").wait_for()


def test_popular_and_recommended_artists_are_picked_by_a_click(page, service):
    page.get_by_role("button", name=f"Pick {NAMES[0]}").click()
    names = recommended(page)  # a name that looks like HTML is a text
    assert names == best(service, NAMES[0])
    page.get_by_role("button", name=f"Add {names[1]} to your picks").click()
    assert recommended(page) == best(service, NAMES[0], names[1])
    page.reload()  # the address keeps the picks
    assert recommended(page) == best(service, NAMES[0], names[1])
    page.get_by_role("button", name="Clear all").click()
    page.get_by_text("Nothing picked yet").wait_for()


def test_the_page_tells_what_is_unknown(page, service):
    field = page.get_by_role("combobox", name="Find an artist")
    field.fill("no such name")
    page.get_by_role("listbox").get_by_text("No artist matches “no such name”.").wait_for()
    page.goto("about:blank")
    page.goto(f"http://127.0.0.1:{service.port}/#{urlencode({'pick': 'x' * 80})}")
    page.get_by_text("None of your picks is known here.").wait_for()
    assert recommended(page) == best(service, "x")
    page.get_by_role("button", name=f"Pick {NAMES[0]}").click()
    page.get_by_text("Unknown here, and left out").wait_for()
    assert recommended(page) == best(service, NAMES[0])


def test_the_page_tells_that_it_waits(page, service):
    waiting = []
    page.route("**/recommend", lambda route: waiting.append(route))
    page.get_by_role("button", name=f"Pick {NAMES[0]}").click()
    page.get_by_role("status").get_by_text("Loading").wait_for()
    waiting[0].continue_()
    assert recommended(page) == best(service, NAMES[0])
    assert page.locator("[aria-busy]").count() == 0


def test_the_page_asks_again_after_an_error(page, service):
    page.route("**/recommend", lambda route: route.abort())
    page.get_by_role("button", name=f"Pick {NAMES[0]}").click()
    page.get_by_role("alert").get_by_text("The service does not answer.").wait_for()
    page.unroute("**/recommend")
    page.get_by_role("button", name="Try again").click()
    assert recommended(page) == best(service, NAMES[0])
    assert [text for text in page.messages if "ERR_FAILED" not in text] == []
    page.messages.clear()
