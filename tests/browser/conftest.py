"""A store that real commands have filled, the UI over it as a printed command starts it, and a browser."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect, sync_playwright

from tests.support.browser import (
    PLAIN,
    SCREENSHOTS,
    SEARCH,
    SIZE,
    Shot,
    Tracked,
    Ui,
    open_page,
    printed_command,
    wait_for,
)
from tests.support.workplace import ROOT, Workplace


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    workplace = Workplace(tmp_path_factory.mktemp("tracked"))
    data = {"DATA_DIR": os.environ["DATA_DIR"]} if "DATA_DIR" in os.environ else {}

    def command(module: str, *arguments: str) -> str:
        done = workplace.run(module, *arguments, **data)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    said = command("src.train", *PLAIN, "model=lenot")
    command("src.train", *PLAIN, "model=lenet5")
    command("src.train", *PLAIN, "model=dense", "optimizer=adam")
    command("src.train", *SEARCH)
    registered = command("src.register", f"run_id={re.findall(r'[0-9a-f]{32}', said)[0]}", "alias=champion")
    return Tracked(workplace, said, registered)


@pytest.fixture(scope="module")
def ui(tracked: Tracked, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The UI, from the command that the first training printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("ui") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*printed_command(tracked.said), f"PORT={port}", "--assume-old=setup"],  # nothing is installed by a test
            cwd=log.parent,
            env=tracked.workplace.environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(f"{address}/health", process, log)
        (runs,) = re.findall(rf"^{address}/\S+$", log.read_text(), re.MULTILINE)
        yield Ui(address, runs)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no chromium; apt-get install chromium")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start for root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def settled(browser: Browser, ui: Ui) -> StorageState:
    """What a browser remembers after the first visit: what pops up is closed, and this is about training models."""
    page = open_page(browser)
    page.goto(ui.base)
    page.get_by_role("button", name="Close", exact=True).last.click()
    page.get_by_role("button", name="Model training").click()
    page.goto(f"{ui.base}/#/models")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    state = page.context.storage_state()
    page.context.close()
    return state


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Page]:
    """A page in a browser that has never visited the UI."""
    page = open_page(browser)
    yield page
    page.context.close()


@pytest.fixture
def page(browser: Browser, settled: StorageState) -> Iterator[Page]:
    page = open_page(browser, settled)
    yield page
    page.context.close()


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """Takes a screenshot: into a temporary folder, or into the one that SCREENSHOTS names."""
    folder = (ROOT / SCREENSHOTS) if SCREENSHOTS else tmp_path_factory.mktemp("screenshots")

    def take(page: Page, name: str) -> None:
        page.mouse.move(SIZE["width"] - 1, SIZE["height"] - 1)  # nothing is hovered over
        file = folder / f"{name}.png"
        # The assistant's button would lie over the page.
        page.screenshot(path=file, style="[data-assistant-ui] { display: none !important }", animations="disabled")
        assert file.stat().st_size < 300_000

    return take
