"""Measures the studio with many photos in Chromium: first thumbnails, scrolling, and the memory of the page.

python examples/check_studio.py FOLDER --count 2000
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from check_serving import serving
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

WORK = "TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration"
FRAMES = """async ({ distance, seconds }) => {
  const times = [];
  let last = await new Promise(requestAnimationFrame);
  const begin = last;
  scrollTo(0, 0);
  while (last - begin < seconds * 1000) {
    const now = await new Promise(requestAnimationFrame);
    scrollTo(0, (distance * (now - begin)) / (seconds * 1000));
    times.push(now - last);
    last = now;
  }
  return times.slice(1);
}"""
"""Milliseconds of each frame while the page is scrolled over a distance."""


MADE_UP = """
const real = window.fetch;
window.fetch = async (url, options) => {
  if (!String(url).endsWith("v1/describe")) return real(url, options);
  const row = { status: "ok", score: 1 + 9 * Math.random(), score_std: 1, distribution: Array(10).fill(0.1) };
  return Response.json({ data: [{ ...row, width: 500, height: 375 }] });
};
"""
"""Answers that come at once, in place of the server's."""


DONE = """async () => {
  const { session } = await import(new URL("session.js", document.querySelector("script[src]").src));
  return session.photos.filter((photo) => photo.state === "scored" && photo.thumbnail).length;
}"""
"""How many photos are scored and have their small copy; the gallery holds the tiles near the screen alone."""


def scroll(page: Page, cdp: CDPSession, screens: float, seconds: float) -> dict[str, float]:
    """Frames while so many screens go by: how many a second, the share that took over 25 ms, the slowest; and how
    long the page's thread worked in a second, which hardly depends on what else the machine does.
    """
    distance = min(page.evaluate("document.documentElement.scrollHeight - innerHeight"), screens * 850)
    before = figure(cdp, "TaskDuration")
    times = page.evaluate(FRAMES, {"distance": distance, "seconds": seconds})
    used = figure(cdp, "TaskDuration") - before
    slow = sum(each > 25 for each in times) / len(times)
    frames = {"a_second": round(len(times) / seconds, 1), "dropped": round(slow, 3), "slowest_ms": round(max(times))}
    return frames | {"cpu_ms_a_second": round(1000 * used / seconds)}


def figure(cdp: CDPSession, name: str) -> float:
    """One of the figures of the page's process."""
    return next(each["value"] for each in cdp.send("Performance.getMetrics")["metrics"] if each["name"] == name)


def megabytes(browser: Browser, cdp: CDPSession) -> dict[str, float]:
    """Resident memory of the page's process, and of all of the browser; JavaScript's heap."""
    found: dict[str, float] = {"renderer": 0.0, "browser": 0.0}
    for each in browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]:
        lines = Path(f"/proc/{int(each['id'])}/smaps_rollup").read_text().splitlines()
        share = int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024
        found["browser"] += share
        found["renderer"] = max(found["renderer"], share) if each["type"] == "renderer" else found["renderer"]
    found["heap"] = figure(cdp, "JSHeapUsedSize") / 1e6
    return {name: round(value, 1) for name, value in found.items()}


def measure(page: Page, browser: Browser, folder: Path, count: int) -> Iterator[dict[str, object]]:
    """Add photos, and look at the page while they come and once they are there."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
    yield {"photos": count, "empty_mb": megabytes(browser, cdp)}
    began = time.monotonic()
    page.locator("#folder").set_input_files(folder)
    page.locator(".tile img[src]").first.wait_for(state="attached")
    yield {"first_thumbnail_s": round(time.monotonic() - began, 2)}
    page.locator(".tile img[src]").nth(11).wait_for(state="attached")
    yield {"first_screen_s": round(time.monotonic() - began, 2)}
    yield {"scrolling_meanwhile": scroll(page, cdp, 40, 6)}
    while page.evaluate(DONE) < count:
        time.sleep(0.5)
    yield {"all_s": round(time.monotonic() - began, 1), "cpu_s": {name: round(figure(cdp, name), 1) for name in WORK}}
    yield {"mb": megabytes(browser, cdp)}
    yield {"scrolling": scroll(page, cdp, 40, 6), "scrolling_fast": scroll(page, cdp, 1000, 6)}
    yield {"mb_after_scrolling": megabytes(browser, cdp)}
    cdp.send("Memory.simulatePressureNotification", {"level": "critical"})
    time.sleep(3)
    yield {"mb_without_the_browsers_caches": megabytes(browser, cdp)}


def main() -> None:
    """See the module."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("folder", type=Path, help="of photos")
    reader.add_argument("--count", type=int, default=2000)
    reader.add_argument("--model", default="calm-small")
    reader.add_argument("--made-up", action="store_true", help="scores come at once and from nowhere: the page alone")
    given = reader.parse_args()
    paths = sorted(path for path in given.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[: given.count]
    if not paths:
        reader.error(f"expected JPEG files below {given.folder}, found none")
    with tempfile.TemporaryDirectory() as scratch, serving("--model", given.model) as server, sync_playwright() as tool:
        for path in paths:
            shutil.copy(path, scratch)  # a browser follows no links
        program = next(path for name in ("chromium", "google-chrome") if (path := shutil.which(name)))
        browser = tool.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1360, "height": 850})
        page.set_default_timeout(3_600_000)
        if given.made_up:
            page.add_init_script(MADE_UP)
        page.goto(f"http://127.0.0.1:{server.port}/")
        for figures in measure(page, browser, Path(scratch), len(paths)):
            print(json.dumps(figures), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
