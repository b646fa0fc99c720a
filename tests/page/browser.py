"""A real browser, driven by the W3C WebDriver protocol: Chromium through ChromeDriver.

It starts with an empty profile and without the browser's own background traffic. What the page asks
of the network is read from the browser's log of the DevTools protocol, requests that its policy
refuses included.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")

FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--lang=en-US",
)
_STARTED = re.compile(r"started successfully on port (\d+)")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The name under which WebDriver (section 12) refers to an element."""


class Browser:
    """One session of one browser."""

    def __init__(self, client: httpx.Client, session: str) -> None:
        self._client = client
        self._session = session

    def command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Run a WebDriver command; return its value."""
        answer = self._client.request(
            method,
            f"/session/{self._session}{path}",
            json=(body or {}) if method == "POST" else None,
        )
        value = answer.json()["value"]
        if answer.status_code != 200:
            raise RuntimeError(f"{method} {path}: {value}")
        return value

    def cdp(self, command: str, **parameters: Any) -> Any:
        """Run a command of the DevTools protocol."""
        return self.command("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, address: str) -> None:
        self.command("POST", "/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; return what it returns."""
        return self.command("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector: str) -> str:
        value = {"using": "css selector", "value": selector}
        found: str = self.command("POST", "/element", value)[ELEMENT]
        return found

    def type_into(self, selector: str, text: str) -> None:
        self.command("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        self.command("POST", f"/element/{self.find(selector)}/click")

    def press(self, *keys: str) -> None:
        """Press keys one after another, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.command(
            "POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]}
        )

    def drop(self, path: Path, selector: str, *others: Path, before: str = "") -> None:
        """Drop a file, or several at once, on an element, as a hand would.

        `before` is a script that runs while the file is held above the element.
        """
        box = self.run(
            "const e = document.querySelector(arguments[0]);"
            "e.scrollIntoView({ block: 'center', behavior: 'instant' });"
            "const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2];",
            selector,
        )
        data = {
            "items": [],
            "files": [str(one) for one in (path, *others)],
            "dragOperationsMask": 1,
        }
        for kind in ("dragEnter", "dragOver", "drop"):
            if kind == "drop" and before:
                self.run(before)
            self.cdp("Input.dispatchDragEvent", type=kind, x=box[0], y=box[1], data=data)

    def wait_for(self, script: str) -> Any:
        """Return the first value of `script` that is true."""
        while not (value := self.run(script)):
            time.sleep(0.02)
        return value

    def text(self, selector: str) -> str:
        found: str = self.run(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector
        )
        return found

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector
        )
        return found

    def look(self, width: int, height: int, scheme: str) -> None:
        """Show the page at this width in a light or dark scheme."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.cdp(
            "Emulation.setEmulatedMedia",
            media="",
            features=[
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ],
        )

    def screenshot(self, whole: bool = True) -> bytes:
        """Return the page as PNG."""
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    def print_page(self) -> bytes:
        """Return the page as PDF, on A4."""
        page = {"width": 21.0, "height": 29.7}
        return base64.b64decode(self.command("POST", "/print", {"page": page}))

    def requests(self) -> list[str]:
        """Return what was asked of the network or refused, since the last time this was called."""
        addresses = []
        for entry in self.command("POST", "/se/log", {"type": "performance"}):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                addresses.append(event["params"]["request"]["url"])
        return addresses


@contextmanager
def start_browser(language: str = "en-US") -> Iterator[Browser]:
    """Run ChromeDriver and a browser of its own until the block ends."""
    assert CHROMIUM is not None
    assert DRIVER is not None
    # As root, which a container often is, Chromium has no sandbox to start.
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": {
            "binary": CHROMIUM,
            "args": flags,
            "prefs": {"intl.accept_languages": language},
        },
        "goog:loggingPrefs": {"performance": "ALL"},
    }
    command = [DRIVER, "--port=0"]  # it chooses one that is free, and says which
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as driver:
        try:
            url = f"http://127.0.0.1:{_read_port(driver)}"
            with httpx.Client(base_url=url, timeout=None, trust_env=False) as client:
                asked = {"capabilities": {"alwaysMatch": wanted}}
                made = client.post("/session", json=asked).json()
                session = made["value"].get("sessionId")
                assert session, made
                try:
                    yield Browser(client, session)
                finally:
                    client.delete(f"/session/{session}")
        finally:
            driver.kill()  # it has nothing to keep, and has been seen to stay after a SIGTERM


def _read_port(driver: subprocess.Popen[str]) -> str:
    """Return the port on which ChromeDriver says that it listens."""
    assert driver.stdout is not None
    said = []
    for line in driver.stdout:
        if found := _STARTED.search(line):
            return found[1]
        said.append(line)
    raise RuntimeError(f"ChromeDriver does not start: {said}")
