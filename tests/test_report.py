"""Reports: what is in them, and how they behave in a browser."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cameras import jpeg
from doubles import BrightModel
from test_cli import calm

from calm.cli import running
from calm.library.exif import read_exif
from calm.library.report import Report

CHROMIUM = shutil.which("chromium")
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>.jpg".replace(
    "/", "∕"
)
EVIL = "<script>document.title='taken'</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}"


def taken(minute: int) -> dict[int, object]:
    return {0x9003: (datetime(2024, 5, 6, 7) + timedelta(minutes=minute)).strftime("%Y:%m:%d %H:%M:%S")}


def row(path: Path, score: float | None, **more: object) -> dict[str, object]:
    spread = [0.0] * 10
    if score:
        spread[int(score) - 1] = 1.0
    found = {"path": str(path), "status": "ok", "error": None, "note": None, "score": score, "scale": "1-10"}
    found |= {"score_std": 1.2, "distribution": spread, "model": "bright", "width": 90, "height": 60, "profile": None}
    return found | {"sha256": "0" * 64} | more


@pytest.fixture
def shoot(tmp_path: Path) -> list[dict[str, object]]:
    """Rows of a plan for nine photos, one of which failed, with everything that a card can show."""
    rows = []
    decisions = ["keep"] * 3 + ["maybe"] * 2 + ["reject"] * 3
    for number, decision in enumerate(decisions):
        path = tmp_path / (HOSTILE if number == 4 else f"IMG_{number}.jpg")
        path.write_bytes(jpeg(np.full((60, 90, 3), 250 - 25 * number, np.uint8), taken(number)))
        plan = {"decision": decision, "reason": f"because of {number}", "rival": str(tmp_path / "IMG_0.jpg")}
        plan |= {"series": 1, "series_kind": "burst"} if number in (0, 1, 7) else {"series": None, "series_kind": None}
        rows.append(row(path, 8.25 - 0.5 * number, **plan))
    rows[0] |= {"rival": None, "comment": "A fine harbour.", "aspects": [aspect("light", 1), aspect("clutter", -1)]}
    rows[4] |= {"reason": EVIL, "comment": EVIL, "note": EVIL}
    rows[5] |= {"suggestions": [suggestion()]}
    (tmp_path / "better.jpg").write_bytes(jpeg(np.full((60, 90, 3), 200, np.uint8)))
    trial = {"attribute": "exposure", "direction": "increase", "kept": True, "reason": "raises the score"}
    trial |= {"amount": 1.0, "score_before": 6.0, "score_after": 7.0, "crop": None}
    rows[6] |= {"applied": [trial], "improved": str(tmp_path / "better.jpg"), "score_improved": 7.0}
    torn = row(tmp_path / "torn.jpg", None, status="failed", error="expected a whole photo, found it damaged")
    return [*rows, torn | dict.fromkeys(("decision", "reason", "rival", "series", "series_kind", "distribution"))]


def aspect(name: str, polarity: int) -> dict[str, object]:
    return {"aspect": name, "level": "low", "polarity": polarity, "text": f"words of {name}"}


def suggestion() -> dict[str, object]:
    kind = {"level": "low", "attribute": "white_balance", "direction": "warmer", "amount": 30.0, "unit": "mired"}
    return kind | {"confidence": 0.8, "text": "Warm it a little.", "crop": None}


def report(path: Path, rows: list[dict[str, object]]) -> Path:
    made = Report(path, f"calm cull {EVIL}")
    for each in rows:
        made.write(each)
    made.finish()
    return path


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, shoot, tmp_path):
    """The report of the shoot; any request to a host, any error of the page fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    opened, faults = context.new_page(), []
    opened.on("request", lambda each: faults.append(each.url) if not each.url.startswith(("file:", "data:")) else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    opened.goto(report(tmp_path / "plan.html", shoot).as_uri())
    yield opened
    assert faults == []
    context.close()


def names(page) -> list[str]:
    return page.locator(".card:visible .name").all_text_contents()  # innerText is empty where not yet laid out


def test_a_report_is_looked_through_by_keyboard_and_pointer(page):
    assert page.locator(".group").all_inner_texts() == [
        "Keep 3 photos",
        "Maybe 2 photos",
        "Reject 3 photos",
        "Others 1 photo",
    ]
    page.select_option("#group", "series")
    assert page.locator(".group").first.inner_text() == "Series 1: burst 3 photos"
    page.select_option("#group", "")
    page.select_option("#sort", "score")
    assert names(page)[0] == "IMG_7.jpg" and names(page)[-1] == "torn.jpg"
    page.uncheck("[value=reject]")
    page.get_by_label("8.0 to 8.5: 1 photos").click()
    assert names(page) == ["IMG_0.jpg"] and page.locator("#count").inner_text() == "1 of 9 photos"
    page.click("#reset")
    page.fill("#search", "harbour")
    assert names(page) == ["IMG_0.jpg"]
    page.fill("#search", "")
    page.select_option("#sort", "n")
    page.locator(".open").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("#viewer-name").inner_text() == "IMG_1.jpg"
    assert page.locator("#viewer-place").inner_text() == "2 of 9"
    page.keyboard.press("ArrowLeft")
    assert "A fine harbour." in page.locator("#facts").inner_text()
    page.locator(".others button", has_text="IMG_7.jpg").click()
    assert page.locator("#viewer-name").inner_text() == "IMG_7.jpg"
    page.keyboard.press("Escape")
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect(page.locator('.card[data-name="IMG_7.jpg"] .open')).to_be_focused()  # the event comes after the key


def test_times_of_capture_are_a_chart_that_filters(page):
    bars = page.locator("[data-by=time]:enabled")
    assert bars.count() == 8
    bars.last.click()
    assert names(page) == ["IMG_7.jpg"]


def test_names_and_words_are_text_and_nothing_else(page):
    page.fill("#search", "∕script")
    assert names(page) == [HOSTILE]
    page.locator(".card:visible .open").click()
    assert page.locator("#facts").inner_text().count(EVIL) == 3
    assert page.title() == f"calm cull {EVIL}" and page.locator("#facts img").count() == 1  # its rival's


def test_before_and_after_lie_on_one_another(page):
    page.locator(".open", has=page.locator("xpath=self::*[contains(@aria-label, 'IMG_6')]")).click()
    slider = page.get_by_label("How much is shown as it was before, in percent")
    slider.focus()
    page.keyboard.press("End")
    assert page.locator(".after").evaluate("each => getComputedStyle(each).clipPath") == "inset(0px 0px 0px 100%)"
    box = page.locator(".after").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert abs(float(slider.input_value()) - 25) < 2
    assert "before 5.25" in page.locator("#stage").inner_text() and "after 7.00" in page.locator("#stage").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_use_it(page, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.emulate_media(color_scheme=scheme)
    for opened in (None, "IMG_0", "IMG_5", "IMG_6"):
        if opened:
            page.get_by_role("button", name=f"{opened}.jpg, score").click()
        found = axe.run(page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
        if opened:
            page.keyboard.press("Escape")


def test_the_switch_of_the_theme(page):
    back = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(back)
    page.select_option("#theme", "dark")
    assert page.evaluate(back) != light


def test_the_command_writes_a_page_that_is_whole_or_absent(tmp_path, monkeypatch, capsys):
    opened = BrightModel()
    monkeypatch.setattr(running, "load_model", lambda name, device: opened)
    photos = tmp_path / "photos"
    photos.mkdir()
    for value in (60, 220):
        (photos / f"{value}.jpg").write_bytes(jpeg(np.full((40, 60, 3), value, np.uint8), taken(value)))
    (photos / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    page = tmp_path / "a.html"
    assert calm("comment", photos, "-q") == 1
    assert calm("score", photos, "--report", page, "-q") == 1
    text = page.read_text()
    assert text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")
    assert "The light is good." in text, "what the store knows of a photo is told as well"
    assert "found it damaged" in text or "expected" in text
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    assert calm("score", photos, "--report", page, "-q") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert calm("score", photos, "--report", tmp_path / "a.pdf", "-q") == 2
    for command in ("rank", "suggest", "cull", "comment"):
        assert calm(command, photos, "--report", page, "--overwrite", "-q") == 1, capsys.readouterr().err
        assert page.read_text().count('class="card"') == 3


def test_a_run_that_was_interrupted_leaves_no_page(tmp_path, monkeypatch):
    opened = BrightModel()
    monkeypatch.setattr(running, "load_model", lambda name, device: opened)
    (tmp_path / "a.jpg").write_bytes(jpeg(np.full((40, 60, 3), 60, np.uint8)))

    def interrupt(photos):
        raise KeyboardInterrupt

    monkeypatch.setattr(opened, "score", interrupt)
    assert calm("score", tmp_path / "a.jpg", "--report", tmp_path / "a.html", "-q") != 0
    assert not (tmp_path / "a.html").exists()


def test_the_shoot_of_the_tutorial_is_made_as_a_camera_would(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "examples"))
    import make_shoot

    assert make_shoot.make(tmp_path / "shoot") == len(list((tmp_path / "shoot").glob("IMG_*.jpg"))) == 23
    times = [read_exif(path).taken for path in sorted((tmp_path / "shoot").iterdir())]
    assert times == sorted(times) and (times[-1] - times[0]).total_seconds() / 3600 == pytest.approx(7.2, abs=0.1)
