"""The studio in a browser, with the packaged model: the whole way through, by mouse and by keyboard."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import new_cache
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from serving import Address, process

from calm.inference.attention import CHECKED
from calm.library.xmp import Packet

ROOT = Path(__file__).parents[1]
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
MINUTES = 10 * 60_000
"""What a busy machine may take for an answer, milliseconds."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    own = {"CALM_CACHE": str(new_cache(tmp_path_factory)), "CALM_PROFILES": str(tmp_path_factory.mktemp("profiles"))}
    with process("--device", "cpu", "--timeout", "600", **own) as running:
        running.address.until_loaded()
        yield running.address


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four good photos, one of them far too dark, something that is no photo, and a damaged one."""
    root = tmp_path_factory.mktemp("photos")
    for name in ("chelsea", "coffee", "rocket"):
        shutil.copy(ROOT / "examples" / f"{name}.jpg", root)
    bright = np.asarray(Image.open(ROOT / "examples" / "astronaut.jpg").convert("RGB")) / 255
    dark = (bright**2.2 * 2**-2.2) ** (1 / 2.2)
    Image.fromarray((dark * 255).astype(np.uint8)).save(root / "dark.jpg", quality=92)
    (root / "broken.jpg").write_bytes((root / "coffee.jpg").read_bytes()[:2000])
    (root / "notes.txt").write_text("no photo")
    return root


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(MINUTES)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def page(browser: Browser, address: Address, folder: Path) -> Iterator[Page]:
    """The studio with the photos scored. At the end nothing has gone wrong, and no other server was asked."""
    context = browser.new_context(viewport={"width": 1360, "height": 850}, color_scheme="dark", reduced_motion="reduce")
    context.set_default_timeout(MINUTES)
    page, wrong, asked = context.new_page(), list[str](), set[str]()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.goto(f"http://127.0.0.1:{address.port}/")
    expect(page.get_by_role("heading", name="What makes a photo work?")).to_be_visible()
    check(page, "welcome")
    page.locator("#folder").set_input_files(folder)
    expect(page.locator(".tile[data-state=scored]")).to_have_count(4)
    expect(page.locator(".tile[data-state=failed]")).to_have_count(1)
    yield page
    context.close()
    assert not wrong and asked <= {f"127.0.0.1:{address.port}", ""}


def check(page: Page, name: str) -> None:
    """axe finds nothing serious, light and dark; a screenshot is left where ``$CALM_SCREENSHOTS`` says."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        faults = [each for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
        assert not faults, json.dumps([(each["id"], [node["html"] for node in each["nodes"]]) for each in faults])
        if "CALM_SCREENSHOTS" in os.environ:
            page.screenshot(path=Path(os.environ["CALM_SCREENSHOTS"]) / f"{name}-{scheme}.png")


def go(page: Page, view: str) -> None:
    page.get_by_label("Views").get_by_role("link", name=view).click()


def scores(page: Page) -> dict[str, float]:
    """Name and score of each tile, in their order."""
    labels = [link.get_attribute("aria-label") or "" for link in page.locator(".tile a").all()]
    found = [re.fullmatch(r"(?:.*/)?(.+), score ([\d.]+)", label) for label in labels]
    return {each[1]: float(each[2]) for each in found if each}


def open_photo(page: Page, name: str) -> None:
    go(page, "Gallery")
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)


def test_the_gallery_is_best_first_and_has_the_scores_of_the_command_line(page: Page):
    go(page, "Gallery")
    found, golden = scores(page), json.loads((ROOT / "tests/golden_scores.json").read_text())
    assert list(found.values()) == sorted(found.values(), reverse=True)
    for name in ("chelsea.jpg", "coffee.jpg", "rocket.jpg"):
        assert found[name] == pytest.approx(golden[name], abs=0.1)
    expect(page.locator(".tile[data-state=failed]")).to_have_attribute("title", re.compile("damaged"))
    expect(page.locator(".tile").last).to_contain_text("broken.jpg")
    page.get_by_label("Order").select_option("name")
    assert page.locator(".tile .name").all_text_contents() == [
        "broken.jpg",
        "chelsea.jpg",
        "coffee.jpg",
        "dark.jpg",
        "rocket.jpg",
    ]
    page.get_by_label("Order").select_option("score")
    check(page, "gallery")


def test_the_gallery_is_walked_by_keyboard(page: Page):
    go(page, "Gallery")
    first = page.locator(".tile a").first
    first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tile a").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".place")).to_have_text("2 of 5")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".place")).to_have_text("1 of 5")
    page.keyboard.press("Escape")
    expect(first).to_be_focused()


def test_a_photo_has_its_distribution_comment_and_chips(page: Page):
    open_photo(page, "chelsea.jpg")
    expect(page.get_by_role("img", name=re.compile(r"Score 7\.\d\d of 10"))).to_be_visible()
    expect(page.locator(".histogram .bar")).to_have_count(10)
    expect(page.locator(".comment:not([aria-busy]) > p")).to_have_text(re.compile(r"\w+.*\."))
    assert page.locator(".chip").count() >= 2
    check(page, "photo")


def test_a_suggestion_is_switched_on_and_the_photo_scored_again(page: Page):
    open_photo(page, "dark.jpg")
    first = page.locator(".suggestions li").first
    expect(first).to_contain_text(re.compile(r"\d+ % sure"))
    expect(first.locator(".gain")).to_have_text(re.compile(r"[+−]\d\.\d\d"))
    before = float(page.locator(".score strong").inner_text())
    page.keyboard.press("1")
    expect(page.get_by_role("switch").first).to_be_checked()
    expect(page.locator(".score .change")).to_be_visible()
    assert float(page.locator(".score strong").inner_text()) > before, "a dark photo is better when it is brightened"
    expect(page.locator(".frame .after")).to_be_visible()
    check(page, "suggestion")
    page.get_by_role("button", name="After").click()
    expect(page.locator(".frame .split")).to_be_hidden()
    page.keyboard.press("b")
    expect(page.locator(".frame .after")).to_be_hidden()
    page.keyboard.press("1")
    expect(page.locator(".score .change")).to_have_count(0)
    assert float(page.locator(".score strong").inner_text()) == before


def test_a_crop_is_drawn_on_the_photo_and_can_be_tried(page: Page):
    told = {"level": "middle", "attribute": "framing", "direction": "tighter", "amount": None, "unit": "%"}
    tighter = told | {"confidence": 0.6, "text": "Come closer.", "crop": [0.25, 0.0, 0.75, 1.0]}

    def answer(route: Route) -> None:
        route.fulfill(json={"data": [{"status": "ok", "score": 6.25, "suggestions": [tighter]}]})

    page.route("**/v1/suggest", answer)
    open_photo(page, "rocket.jpg")
    inside = page.locator(".crop .inside")
    expect(inside).to_have_attribute("x", "250")
    whole, crop = page.locator(".frame").bounding_box(), inside.bounding_box()
    assert crop["width"] == pytest.approx(whole["width"] / 2, rel=0.03)
    check(page, "crop")
    page.get_by_role("switch").check()
    expect(page.get_by_role("button", name="After")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Split")).to_be_disabled()
    changed = page.locator(".frame").bounding_box()
    assert changed["width"] / changed["height"] == pytest.approx(whole["width"] / whole["height"] / 2, rel=0.02)
    page.get_by_role("switch").uncheck()
    page.unroute("**/v1/suggest")


def test_where_the_model_looked_is_laid_over_the_photo(page: Page):
    open_photo(page, "chelsea.jpg")
    page.keyboard.press("l")
    if not CHECKED:
        expect(page.locator(".looking p")).to_contain_text("has not passed the check")
        return
    expect(page.locator(".frame .heat")).to_be_visible()
    expect(page.locator(".looking p")).to_contain_text("Q-Former")
    check(page, "looking")
    page.get_by_role("radio", name="Off").click()
    expect(page.locator(".frame .heat")).to_be_hidden()


def test_ratings_by_keyboard_change_the_ranking(page: Page, address: Address):
    go(page, "Your taste")
    for count, star in enumerate("5241", 1):
        expect(page.locator(".card progress")).to_have_js_property("value", count - 1)
        page.keyboard.press(star)
    expect(page.locator(".trust")).to_contain_text("1 more rating,")
    expect(page.locator(".ranking .given")).to_have_count(4)
    check(page, "taste")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#message")).to_contain_text("--profile me")
    [profile] = address.get("/v1/profiles").json["data"]
    assert profile["examples"] == 4 and profile["scale"] == [1, 5]
    go(page, "Gallery")
    page.get_by_label("Order").select_option("taste")
    page.get_by_label("Order").select_option("score")


def test_photos_are_compared_with_one_zoom(page: Page):
    go(page, "Gallery")
    for name in ("chelsea.jpg", "coffee.jpg"):
        page.get_by_role("checkbox", name=name).check(force=True)
    go(page, "Compare")
    panes = page.locator(".pane img")
    expect(panes).to_have_count(2)
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    moved = [pane.evaluate("image => getComputedStyle(image).transform") for pane in panes.all()]
    assert moved[0] == moved[1] and moved[0].startswith("matrix(1.25, 0, 0, 1.25, -")
    expect(page.locator(".best")).to_have_count(1)
    check(page, "compare")


def export(page: Page, what: str, to: Path) -> Path:
    """The file that the page offers."""
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=what).click()
    download.value.save_as(to / download.value.suggested_filename)
    page.get_by_role("button", name="Close").click()
    return to / download.value.suggested_filename


def test_scores_are_exported(page: Page, tmp_path: Path):
    with export(page, "CSV", tmp_path).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["status"] for row in rows] == ["ok"] * 4 + ["failed"]
    assert float(rows[0]["score"]) > float(rows[3]["score"]) and len(rows[0]["sha256"]) == 64


@pytest.fixture
def shoot(tmp_path: Path) -> Path:
    """A burst of three, one of them soft, a photo by itself, and a sidecar in which a person rated one."""
    root = tmp_path / "shoot"
    root.mkdir()
    whole = Image.open(ROOT / "examples" / "coffee.jpg").convert("RGB")
    for i in range(3):
        cut = whole.crop((4 * i, 3 * i, whole.width - 20 + 4 * i, whole.height - 20 + 3 * i))
        cut = cut.resize((cut.width // 8, cut.height // 8)).resize(cut.size) if i == 1 else cut
        cut.save(root / f"burst{i}.jpg", quality=92)
    shutil.copy(ROOT / "examples" / "rocket.jpg", root)
    theirs = Packet()
    theirs.set_text("xmp:Rating", "2")
    (root / "rocket.xmp").write_bytes(bytes(theirs))
    return root


def test_a_shoot_is_culled_by_keyboard_and_exported(browser: Browser, address: Address, shoot: Path, tmp_path: Path):
    context = browser.new_context(viewport={"width": 1360, "height": 850}, color_scheme="dark", reduced_motion="reduce")
    context.set_default_timeout(MINUTES)
    page, wrong = context.new_page(), list[str]()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.goto(f"http://127.0.0.1:{address.port}/#/cull")
    expect(page.get_by_role("heading", name="Cull")).to_be_visible()
    page.get_by_role("link", name="To the gallery").click()
    page.locator("#folder").set_input_files(shoot)
    expect(page.locator(".tile[data-state=scored]")).to_have_count(4)

    go(page, "Cull")
    page.get_by_label("Keep", exact=True).fill("2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_have_text("1 series")
    burst = page.get_by_role("region", name="Burst 1")
    shots = burst.get_by_role("button")
    expect(shots).to_have_count(3)
    expect(shots.nth(1)).to_have_attribute("aria-label", re.compile("burst1.jpg, reject: technical"))
    expect(page.locator(".shot[data-decision=keep]")).to_have_count(2)
    check(page, "cull")

    shots.nth(1).focus()
    page.keyboard.press("k")
    expect(shots.nth(1)).to_have_attribute("data-decision", "keep")
    expect(shots.nth(2)).to_be_focused()
    page.keyboard.press("r")
    expect(page.get_by_role("status").first).to_have_text("1 series, 2 decided by you")
    shots.nth(1).focus()
    page.keyboard.press("Backspace")
    expect(page.get_by_role("status").first).to_have_text("1 series, 1 decided by you")
    expect(shots.nth(1)).to_have_attribute("data-decision", "reject")
    page.get_by_role("group", name="Which photos").get_by_role("button", name="Reject").click()
    expect(shots).to_have_count(2)
    expect(shots.last).to_have_attribute("aria-label", re.compile("burst2.jpg, reject by you"))
    page.keyboard.press("c")
    expect(page.locator(".pane img")).to_have_count(3)

    with zipfile.ZipFile(export(page, "XMP", tmp_path)) as archive:
        packets = {name: Packet(archive.read(name)) for name in archive.namelist()}
    ratings = {name: packet.text("xmp:Rating") for name, packet in packets.items()}
    assert ratings["shoot/burst2.jpg.xmp"] == "-1" and ratings["shoot/rocket.xmp"] == "2", "a person's stars stay"
    assert sorted(file.name for file in shoot.iterdir() if file.suffix == ".xmp") == ["rocket.xmp"]
    with export(page, "CSV", tmp_path).open(encoding="utf-8", newline="") as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    assert rows["shoot/burst2.jpg"]["decision"] == "reject" and rows["shoot/burst2.jpg"]["decided_by"] == "you"
    assert rows["shoot/burst0.jpg"]["series_kind"] == "burst"
    report = export(page, "Report", tmp_path)
    page.goto(report.as_uri())
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator(".card .open img").first).to_have_js_property("complete", True)
    assert page.locator(".card .open img").first.evaluate("image => image.naturalWidth") > 100
    context.close()
    assert not wrong


def test_what_waits_is_taken_back(browser: Browser, address: Address, folder: Path):
    context = browser.new_context()
    page = context.new_page()
    page.route("**/v1/describe", lambda route: None)  # no answer comes
    page.goto(f"http://127.0.0.1:{address.port}/")
    page.locator("#files").set_input_files(sorted(folder.glob("*.jpg")))
    expect(page.get_by_label("Progress")).to_contain_text("0 of 5")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".tile[data-state=cancelled]")).to_have_count(5)
    expect(page.get_by_label("Progress")).to_be_hidden()
    context.close()


def test_of_hundreds_of_photos_only_those_near_the_screen_are_in_the_page(
    browser: Browser, address: Address, tmp_path: Path
):
    for number in range(300):
        grey = np.full((40, 60 if number % 2 else 30, 3), number % 256, np.uint8)
        Image.fromarray(grey).save(tmp_path / f"{number:03}.png")
    context = browser.new_context(viewport={"width": 1000, "height": 700}, reduced_motion="reduce")
    page = context.new_page()
    page.route("**/v1/describe", lambda route: None)  # no answer comes
    page.goto(f"http://127.0.0.1:{address.port}/")
    page.locator("#files").set_input_files(sorted(tmp_path.glob("*.png")))
    first, last = (page.get_by_role("link", name=f"{number}.png") for number in ("000", "299"))
    expect(first.locator("img")).to_have_attribute("src", re.compile("blob:"))
    expect(last).to_have_count(0)
    assert page.locator(".tile").count() < 100
    first.focus()
    page.keyboard.press("End")
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    expect(page.locator(".tile", has=last)).to_have_attribute("aria-posinset", "300")
    expect(first).to_have_count(0)
    page.keyboard.press("ArrowUp")
    above = page.locator(".tile a:focus")
    expect(above).to_be_in_viewport()
    assert above.bounding_box()["y"] < last.bounding_box()["y"]
    page.keyboard.press("Enter")
    expect(page.locator(".place")).to_have_text(re.compile("of 300"))
    page.keyboard.press("Escape")
    expect(above).to_be_in_viewport()  # back where one was, far below the first screen
    expect(first).to_have_count(0)
    boxes = page.locator(".tile").evaluate_all(
        "tiles => tiles.map(each => each.getBoundingClientRect()).map(at => [Math.round(at.top), at.left, at.right])"
    )
    assert all(right <= 1000 for _, _, right in boxes) and boxes == sorted(boxes)
    context.close()


def test_on_a_small_screen_nothing_is_wider_than_it(browser: Browser, address: Address):
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{address.port}/")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    check(page, "small")
    context.close()
