"""The dashboard in a real Chromium: signed in, looked through, and spoken with; no script fails, nothing goes out."""

from __future__ import annotations

import pytest

from tests.fixtures.browser import Browser
from tests.fixtures.gateway import RunningGateway, question
from trunkline.v1 import chat_pb2, limits_pb2, usage_pb2

BREAKING = """(() => {
    const asked = window.asked = [], whole = window.fetch;
    let broken = false;
    window.fetch = async (path, given) => {
        const answer = await whole(path, given);
        asked.push(path.split('/').at(-1));
        if (broken || !path.endsWith('/Stream')) return answer;
        broken = true;
        const reader = answer.body.getReader();
        let heard = '';
        return new Response(new ReadableStream({ async pull(control) {
            if (heard.includes('partDelta')) { await reader.cancel(); return control.error(new TypeError('gone')); }
            const { value } = await reader.read();
            heard += new TextDecoder().decode(value);
            return control.enqueue(value);
        } }));
    };
})()"""
"""The next connection, that of a stream, breaks behind its first words."""

NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def entered(gateway: RunningGateway, browser: Browser) -> Browser:
    """Signed in, after a few calls."""
    for user in ("ada", "bob", NASTY):
        request = chat_pb2.CompleteRequest(input=question("one two three"))
        await gateway.chat.Complete(request, metadata=gateway.metadata(user))
    budget = limits_pb2.Budget(
        name="monthly", period=limits_pb2.BUDGET_PERIOD_MONTH, amount=usage_pb2.Amount(unit="CREDIT", nanos=10**9)
    )
    await gateway.limits.SetBudget(limits_pb2.SetBudgetRequest(budget=budget), metadata=gateway.metadata())
    await browser.look(1360, 900)
    await browser.go(f"http://{gateway.house.http_address}/dashboard")
    await browser.until("document.activeElement.id === 'api-key'")
    await browser.type("#api-key", gateway.key)
    await browser.click("#sign-in button")
    await browser.until("document.querySelector('.tiles')")
    return browser


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_every_part_of_it(gateway: RunningGateway, entered: Browser) -> None:
    await overview(entered)
    for part, word in (("providers", "sandbox"), ("jobs", "There are no jobs"), ("budgets", "monthly")):
        await entered.ask(f"location.hash = '#{part}'")
        await entered.until(f"document.getElementById('view').innerText.includes('{word}')")
    await playground(entered)
    await broken(entered)
    await narrow_and_dark(entered)
    await entered.click("#sign-out")
    await entered.until("!document.getElementById('sign-in').hidden")
    assert await entered.ask("fetch('/dashboard/session').then((told) => told.json())") == {"signed_in": False}
    assert entered.problems == []
    assert entered.visited == {gateway.house.http_address}


async def overview(browser: Browser) -> None:
    await browser.until("document.querySelectorAll('.chart svg').length === 5")
    text = await browser.text()
    for word in ("Credits charged", "sandbox/echo", "ada", NASTY):
        assert word in text
    await browser.until("document.getElementById('live').innerText.includes('running')")
    assert await browser.ask("document.querySelector('#view img') === null")
    assert await browser.ask("document.querySelectorAll('.chart rect.bar').length") >= 3
    assert await browser.ask("[...document.querySelectorAll('.chart text')].every((one) => one.getBBox().x >= 0)")
    await browser.ask(
        "[...document.querySelectorAll('.segments button')].find((one) => one.textContent === '24 h').click()"
    )
    await browser.until("document.querySelectorAll('.chart')[0]?.querySelectorAll('.here').length === 24")
    await browser.ask(
        "(() => { const one = document.querySelector('[name=userId]'); one.value = 'ada';"
        " one.dispatchEvent(new Event('change')); })()"
    )
    await browser.until("document.querySelectorAll('tbody tr').length === 2")


async def playground(browser: Browser) -> None:
    await browser.ask("location.hash = '#playground'")
    await browser.until("document.querySelector('#model')?.options.length")
    await browser.ask("document.querySelector('#model').value = 'sandbox/echo'")
    await browser.type(".ask textarea", "parrots repeat")
    await browser.click(".ask button")
    await browser.until("document.querySelector('.bill')")
    text = await browser.text()
    for word in ("parrots repeat", "Charged", "credits", "sandbox/echo"):
        assert word in text


async def broken(browser: Browser) -> None:
    """A stream whose connection breaks is heard to its end, and one that is stopped is over for the gateway too."""
    await browser.ask(BREAKING)
    await browser.ask("document.querySelector('#model').value = 'sandbox/slow'")
    await browser.type(".ask textarea", "five words in a row")
    await browser.click(".ask button")
    await browser.until("document.querySelectorAll('.bill').length === 2")
    assert (
        await browser.ask("[...document.querySelectorAll('.theirs .text')].at(-1).innerText") == "five words in a row"
    )
    assert await browser.ask("window.asked.filter((name) => name.includes('Stream')).join()") == ("Stream,ResumeStream")
    await browser.type(".ask textarea", "word " * 500)
    await browser.click(".ask button")
    await browser.until("[...document.querySelectorAll('.theirs .text')].at(-1).innerText.includes('word')")
    await browser.click(".ask button")
    await browser.until("document.body.innerText.includes('stopped')")
    assert await browser.ask("window.asked.includes('CancelCompletion')")


async def narrow_and_dark(browser: Browser) -> None:
    light = await browser.ask("getComputedStyle(document.body).backgroundColor")
    await browser.look(390, 844, dark=True, phone=True)
    await browser.ask("location.hash = '#overview'")
    await browser.until("document.querySelectorAll('.chart svg').length === 5")
    assert await browser.ask("document.documentElement.scrollWidth") <= 390
    assert await browser.ask("getComputedStyle(document.body).backgroundColor") != light


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_wrong_key_is_told(gateway: RunningGateway, browser: Browser) -> None:
    await browser.go(f"http://{gateway.house.http_address}/dashboard/")
    await browser.until("document.activeElement.id === 'api-key'")
    await browser.type("#api-key", "wrong")
    await browser.click("#sign-in button")
    await browser.until("document.querySelector('.problem').innerText.includes('not valid')")
