"""The jukebox of the site, used in a browser and compared with the model in Python."""

import functools
import http.server
import json
import random
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "jukebox"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the docs are not beside the package")

RECOMMEND = """async ([file, histories, k]) => {
  const { read } = await import("./model.js");
  const model = await read(await (await fetch(file)).arrayBuffer());
  return histories.map((pairs) => {
    const history = new Map(pairs);
    const { found, byPopularity } = model.recommend(history, k);
    const reasons = byPopularity ? [] : found.map(({ item }) => model.explain(history, item));
    return { found, byPopularity, reasons };
  });
}"""
READ = """async (bytes) => {
  const { read } = await import("./model.js");
  try { await read(Uint8Array.from(bytes).buffer); return "read"; }
  catch (error) { return `${error.constructor.name}: ${error.message}`; }
}"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def builder():
    sys.path.insert(0, str(FOLDER))
    try:
        import build
    finally:
        sys.path.remove(str(FOLDER))
    return build


@pytest.fixture(scope="module")
def site(builder, tmp_path_factory):
    """Return the folder of the page and its models."""
    folder = tmp_path_factory.mktemp("jukebox")
    return folder, builder.build(folder)


@pytest.fixture(scope="module")
def address(site):
    folder, _ = site
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(browser, address):
    """Return the page, opened; fail at the end if it reported errors or asked another server."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    own, faults = context.new_page(), []
    own.on("console", lambda told: told.type == "error" and faults.append(told.text))
    own.on("pageerror", lambda error: faults.append(str(error)))
    own.on("request", lambda asked: asked.url.startswith(address) or faults.append(asked.url))
    own.goto(address)
    own.wait_for_selector("#answer > li")
    yield own
    context.close()
    assert faults == []


def histories_of(items, n):
    """Return random histories as lists of pairs; the first is empty, the second is unknown."""
    rng = random.Random(0)
    drawn = [
        [[item, rng.choice([1, 2, 3, 50, 123_456])] for item in rng.sample(items, size)]
        for size in rng.choices(range(1, 40), k=n)
    ]
    return [[], [["no such item", 3]], *drawn]


def assert_equal_to_python(answers, histories, recommender, k):
    frames = [
        pd.DataFrame({"user": str(number), "item": item, "count": count}, index=[0])
        for number, history in enumerate(histories)
        for item, count in history
        if item != "no such item"
    ]
    listens = pd.concat(frames, ignore_index=True)
    expected = recommender.recommend(listens, k=k)
    reasons = recommender.explain(listens, expected, k=50)
    popular = np.argsort(-recommender[-1].item_counts_, kind="stable")[:k]
    for number, (history, answer) in enumerate(zip(histories, answers, strict=True)):
        own = expected[expected["user"] == str(number)]
        if not len(own):  # no known item
            assert answer["byPopularity"]
            found = [each["item"] for each in answer["found"]]
            assert found == recommender[0].items_[popular].tolist()
            continue
        # 32-bit sums of a history's terms in the same order; Python's may round a product and a
        # sum at once.
        scale = np.finfo(np.float32).eps * len(history) * own["score"].abs().max() * 4
        found = [each["item"] for each in answer["found"]]
        assert found == own["item"].tolist()
        scores = [each["score"] for each in answer["found"]]
        assert scores == pytest.approx(own["score"].to_numpy(), rel=0, abs=scale)
        for item, parts in zip(found, answer["reasons"], strict=True):
            theirs = reasons[(reasons["user"] == str(number)) & (reasons["item"] == item)]
            assert {each["item"] for each in parts} == set(theirs["reason"])
            ours = {each["item"]: each["score"] for each in parts}
            for reason, contribution in zip(theirs["reason"], theirs["contribution"], strict=True):
                assert ours[reason] == pytest.approx(contribution, rel=1e-6, abs=1e-7)


def test_recommendations_and_reasons_are_those_of_python(page, site):
    recommender = site[1]["songs.safetensors"]
    items = recommender[0].items_.tolist()
    histories = histories_of(items, 40)
    answers = page.evaluate(RECOMMEND, ["songs.safetensors", histories, 20])
    assert_equal_to_python(answers, histories, recommender, 20)


def test_all_items_that_are_left_are_ranked(page, site):
    recommender = site[1]["songs.safetensors"]
    items = recommender[0].items_.tolist()
    histories = [[[item, 1] for item in items[::3]]]
    (answer,) = page.evaluate(RECOMMEND, ["songs.safetensors", histories, len(items)])
    assert len(answer["found"]) == len(items) - len(items[::3])
    assert not {each["item"] for each in answer["found"]} & set(items[::3])


def test_a_person_uses_the_keyboard_only(page, site):
    recommender = site[1]["songs.safetensors"]
    page.keyboard.press("Tab")  # the link home
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "query"
    page.keyboard.type("blue s")
    names = page.locator("#options [role=option]").all_inner_texts()
    assert names
    assert all("blue s" in name.lower() for name in names)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    picked = names[1]
    assert page.locator("#picks .name").all_inner_texts() == [picked]
    page.keyboard.type("zzz")
    assert "No song" in page.locator("#options").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.locator("#query").input_value() == ""

    page.get_by_role("button", name=f"More plays of {picked}").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.locator("#picks output").inner_text() == "3"
    shown = page.locator("#answer .name").all_inner_texts()
    listens = pd.DataFrame({"user": "a", "item": [picked], "count": [3]})
    assert shown == recommender.recommend(listens, k=10)["item"].tolist()

    page.get_by_role("button", name=f"Add {shown[0]}", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.locator("#picks .name").all_inner_texts() == [picked, shown[0]]
    page.get_by_role("button", name=f"Remove {picked}").focus()
    page.keyboard.press("Enter")
    assert page.locator("#picks .name").all_inner_texts() == [shown[0]]
    assert page.evaluate("document.activeElement.className") == "remove"


def test_the_address_keeps_the_picks(page):
    page.get_by_role("button", name="Surprise me").click()
    picks = page.locator("#picks .name").all_inner_texts()
    shown = page.locator("#answer .name").all_inner_texts()
    assert len(picks) == 4
    page.reload()
    page.wait_for_selector("#answer > li")
    assert page.locator("#picks .name").all_inner_texts() == picks
    assert page.locator("#answer .name").all_inner_texts() == shown
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#picks li").count() == 0
    assert page.locator("#answer-title").inner_text() == "Most popular"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_overflows_and_targets_are_large_enough(page, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 740})
    page.get_by_role("button", name="Surprise me").click()
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate(
        "[...document.querySelectorAll('main button, main input, select, summary')]"
        ".map((each) => each.getBoundingClientRect()).map(({ width, height }) => [width, height])"
    )
    assert all(min(size) >= 44 for size in sizes)


def test_a_file_of_the_persons_own_is_used_and_checked(page, site, tmp_path):
    from shallow_ae import SparseShallowAutoEncoder, make_recommender, save_model

    listens = [("a", f"<b>{n}</b>", 1) for n in range(3)] + [("b", "<b>1</b>", 2)]
    save_model(make_recommender(SparseShallowAutoEncoder()).fit(listens), tmp_path / "own")
    page.locator("summary").click()
    page.locator("#file").set_input_files(tmp_path / "own")
    page.wait_for_function("document.querySelector('#facts').textContent.startsWith('3 songs')")
    assert "<b>1</b>" in page.locator("#answer .name").all_inner_texts()

    content = bytearray((tmp_path / "own").read_bytes())
    content[-1] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    page.locator("#file").set_input_files(tmp_path / "damaged")
    page.wait_for_selector("#problem:not([hidden])")
    assert "checksum" in page.locator("#problem").inner_text()


def test_other_files_are_refused_with_the_reason(page, tmp_path):
    from shallow_ae import ShallowAutoEncoder, make_recommender, save_model

    listens = [("a", "x", 1), ("a", "y", 1), ("b", "y", 2)]
    model = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
    save_model(model, tmp_path / "dense")
    save_model(model[-1], tmp_path / "no_ids")
    told = {
        name: page.evaluate(READ, list((tmp_path / name).read_bytes()))
        for name in ("dense", "no_ids")
    }
    assert "Call sparsify before save_model" in told["dense"]
    assert "a pipeline with ids" in told["no_ids"]
    assert "no model file" in page.evaluate(READ, list(b"some text that is no model"))


@pytest.mark.slow
def test_artists_of_lastfm(builder, lastfm_folder, page, site):
    folder, _ = site
    models = builder.build(folder, lastfm_folder)
    assert [each["file"] for each in json.loads((folder / "models.json").read_text())] == [*models]
    recommender = models["artists.safetensors"]
    assert (folder / "artists.safetensors").stat().st_size < 8 * 2**20
    histories = histories_of(recommender[0].items_.tolist(), 10)
    answers = page.evaluate(RECOMMEND, ["artists.safetensors", histories, 20])
    assert_equal_to_python(answers, histories, recommender, 20)
