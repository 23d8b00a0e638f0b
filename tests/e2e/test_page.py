"""The page at `/` in a headless Chromium: chat, stop, settings, the view of the engine, hostile text, phone and dark."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from web_driver import Browser, browsing

if TYPE_CHECKING:
    from conftest import ServerProcess

HOSTILE = """# <img src=x onerror="window.hacked=1">
<script>window.hacked=1</script>
[click](javascript:window.hacked=1) [data](data:text/html,<script>window.hacked=1</script>) [ok](https://example.com/)
- `<b>code</b>` **bold <i>x</i>** *soft*
```
</code></pre><script>window.hacked=1</script>
```
> quote <svg onload="window.hacked=1">
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no Chromium is installed: `tools/setup browser` installs it, and make check-full runs that")
    with browsing() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, server: ServerProcess, model: str) -> Browser:
    browser.show_as(1100, 800, "light")
    browser.open(server.url + "/")
    browser.wait_until(lambda: browser.text("#model option") == model, "model")
    return browser


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLX_SERVING_SCREENSHOTS names a folder that keeps them."""
    folder = Path(os.environ.get("MLX_SERVING_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def is_done(page: Browser) -> bool:
    return bool(
        page.run("return document.getElementById('stop').disabled && document.querySelector('.assistant') !== null")
    )


def ask(page: Browser, text: str, max_tokens: int) -> None:
    page.run(
        f"document.getElementById('max_tokens').value = '{max_tokens}'; document.getElementById('temperature').value = '0'"
    )
    page.type("#prompt", text)
    page.click("#send")


def test_chat_streams_and_is_measured(page: Browser, screenshots: Path) -> None:
    ask(page, "Say hello.", 12)
    page.wait_until(lambda: is_done(page) and page.text(".assistant") != "", "answer")
    assert page.text(".user") == "Say hello."
    assert "token/s" in page.text("#speed")
    page.screenshot(screenshots / "chat_light.png")
    page.click("#clear")
    assert page.text("#messages") == ""


def test_stop_ends_the_answer(page: Browser, server: ServerProcess) -> None:
    ask(page, "Write a very long story about the sea.", 1500)
    page.wait_until(lambda: page.text(".assistant") != "", "beginning of an answer")
    page.click("#stop")
    page.wait_until(lambda: is_done(page), "end")
    server.wait_until_idle(20.0)
    assert page.text(".error") == ""


def test_errors_are_shown(page: Browser) -> None:
    page.run("document.getElementById('top_p').value = '7'")
    ask(page, "Hello", 5)
    page.wait_until(lambda: "top_p" in page.text(".error"), "error")


def test_hostile_markdown_stays_text(page: Browser) -> None:
    kept = page.run(
        f"""
        const {{ markdown }} = await import("/ui/markdown.js");
        const box = document.getElementById("messages");
        box.replaceChildren(markdown({json.dumps(HOSTILE)}));
        await new Promise((resolve) => setTimeout(resolve, 100));
        const all = [...box.querySelectorAll("*")];
        return {{
          names: [...new Set(all.map((node) => node.localName))].sort(),
          attributes: [...new Set(all.flatMap((node) => node.getAttributeNames()))].sort(),
          links: all.filter((node) => node.localName === "a").map((node) => node.href),
          hacked: window.hacked ?? null,
          text: box.textContent,
        }};
        """
    )
    assert isinstance(kept, dict), kept
    assert kept["hacked"] is None
    assert set(kept["names"]) <= {"a", "blockquote", "code", "em", "h3", "li", "p", "pre", "strong", "ul"}
    assert set(kept["attributes"]) == {"href", "rel", "target"}
    assert kept["links"] == ["https://example.com/"]
    assert "<script>window.hacked=1</script>" in kept["text"]


def test_the_engine_is_shown(page: Browser, screenshots: Path) -> None:
    ask(page, "Say hello.", 8)
    page.wait_until(lambda: is_done(page), "answer")
    page.click("#show-engine")
    page.wait_until(lambda: "requests done" in page.text("#tiles"), "figures")
    page.wait_until(lambda: "finished" in page.text("#requests tbody"), "requests")
    page.wait_until(lambda: page.run("return document.querySelectorAll('#steps rect').length") or False, "steps")
    page.screenshot(screenshots / "engine_light.png")


def test_phone_and_dark(page: Browser, screenshots: Path) -> None:
    light = page.run("return getComputedStyle(document.body).backgroundColor")
    page.show_as(360, 740, "dark")
    assert page.run("return getComputedStyle(document.body).backgroundColor") != light
    ask(page, "Say hello.", 12)
    page.wait_until(lambda: is_done(page) and page.text(".assistant") != "", "answer")
    page.screenshot(screenshots / "chat_dark_phone.png")
    for view in ("chat", "engine"):
        page.click(f"#show-{view}")
        assert page.run("return document.documentElement.scrollWidth <= innerWidth"), view
    page.screenshot(screenshots / "engine_dark_phone.png")


def test_every_control_has_a_name(page: Browser) -> None:
    nameless = page.run(
        """
        const controls = [...document.querySelectorAll("input, select, textarea, button")];
        return controls.filter((node) => !(node.labels?.length || node.textContent.trim())).map((node) => node.id);
        """
    )
    assert nameless == []
    assert page.run("return document.documentElement.lang") == "en"
