"""Content that tries to run, to lead elsewhere, or to break the page's layout."""

import json
import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.using import messages, open_row, rows
from tests.calls import new_attachment
from tests.servers import Server

SCRIPTS = """
<script>window.hacked=1</script>
<img src=x onerror="window.hacked=2"><svg/onload=window.hacked=3>
<a href="javascript:window.hacked=4">click</a> <a href=" jAvAsCrIpT:window.hacked=5">click</a>
<iframe src="javascript:window.hacked=6"></iframe><iframe srcdoc="<script>parent.hacked=7</script>">
<object data="data:text/html,<script>window.hacked=8</script>"></object><embed src=//evil.example>
<form action=//evil.example><input name=q autofocus onfocus=window.hacked=9></form>
<math><mtext></p><style><img src onerror=window.hacked=10></style></math><base href=//evil.example>
<details open ontoggle=window.hacked=11><style>*{display:none}</style>
<meta http-equiv=refresh content=0>
<link rel=stylesheet href=//evil.example><video><source onerror=window.hacked=12></video>
<p style="position:fixed;inset:0" id="app" class="toast">over everything</p><template><b></template>
"""
MARKDOWN = """
[link](javascript:window.hacked=20) [link](JaVaScRiPt:window.hacked=21)
<javascript:window.hacked=22> [link](data:text/html,<script>window.hacked=23</script>)
[link](vbscript:x) [link](&#106;avascript:window.hacked=24) [link](java&#10;script:window.hacked=25)
[link](//evil.example) [link](/conversations) [link](file:///etc/passwd)
![image](https://evil.example/seen.png) ![image](javascript:window.hacked=26)
![x](x"onerror="window.hacked=27)
[a](https://example.org/"onmouseover="window.hacked=28) [x]: javascript:window.hacked=29
[safe](https://example.org/?a=1&b=2) <https://example.org> https://example.com mail@example.org

```html"onclick="window.hacked=30
</code></pre><script>window.hacked=31</script>
```

| a | b |
|---|---|
| <img src=x onerror=window.hacked=32> | `<script>window.hacked=33</script>` |

# <script>window.hacked=34</script>
- [x] <svg onload=window.hacked=35>
"""
ODD = {
    "huge word": "W" * 4000,
    "right-to-left override": "\u202eevil\u202d \u2067gpj.exe\u2069 \u202efdp",
    "zero width": "a\u200b\u200d\u2060\ufeffb" + "\u200b" * 500,
    "combining": "Z" + "\u0361\u0322\u0334" * 300,
    "emoji": "👩‍👩‍👧‍👦" * 300,
    "lines": "\n" * 500 + "end",
    "separators": "a\u2028b\u2029c\u0085d",
    "templates": "${window.hacked=40} {{hacked}} <!-- --> ]]> \\u003cscript> %3Cscript%3E",
    "prototype": "__proto__ constructor toString",
    "nested quotes": ">" * 500 + " deep",
    "nested lists": "\n".join(" " * 2 * n + "- x" for n in range(60)),
    "emphasis": "*_" * 1500 + "x",
    "nested emphasis": "*" * 4995 + "a" + "*" * 4995,
    "endless list item": "- a\n" + "b\n" * 40_000,
    "brackets": "[" * 2000 + "](" * 500,
    "table": "|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n|" + "b|" * 300,
    "arabic": "مرحبا بالعالم **عقد الإيجار** `code` 123",
}
FOUND = """() => {
  const page = document.body;
  const all = [...page.querySelectorAll("*")];
  return {
    hacked: window.hacked ?? null,
    elements: [...page.querySelectorAll(
      "script, iframe, object, embed, form[action], base, meta, link, style, video, template, math"
    )].map((e) => e.outerHTML.slice(0, 200)),
    handlers: all.filter((e) => [...e.attributes].some((a) => a.name.startsWith("on")))
      .map((e) => e.outerHTML.slice(0, 200)),
    images: [...page.querySelectorAll("img, source, image")].map((e) => e.src)
      .filter((src) => !src.startsWith(location.origin + "/app/")),
    links: [...page.querySelectorAll("a[href]")].map((a) => a.href)
      .filter((href) => !href.startsWith(location.origin)),
    ids: [...page.querySelectorAll("[id]")].map((e) => e.id)
      .filter((id, place, ids) => ids.indexOf(id) !== place),
    overflow: document.scrollingElement.scrollWidth - innerWidth,
  };
}"""


def assert_harmless(page: Page) -> dict[str, Any]:
    """Assert that nothing ran and nothing dangerous is in the page; return what was found."""
    found: dict[str, Any] = page.evaluate(FOUND)
    assert found["hacked"] is None
    for kind in ("elements", "handlers", "images", "ids"):
        assert found[kind] == [], kind
    assert found["overflow"] <= 0
    return found


def post(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    response = client.post(path, json=body)
    assert response.status_code == 201, response.text
    result: dict[str, Any] = response.json()
    return result


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
@pytest.mark.parametrize("text", [SCRIPTS, MARKDOWN], ids=["html", "markdown"])
def test_markup_in_messages_is_displayed_and_does_nothing(
    role: str, text: str, tab: Page, maria: httpx.Client
) -> None:
    conversation = post(maria, "/conversations", title="Hostile")
    requests: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))

    post(maria, f"/conversations/{conversation['id']}/messages", role=role, content=text)
    open_row(tab, "Hostile")
    expect(messages(tab)).to_have_count(1)
    for link in messages(tab).locator("a[href]").all():
        shown = link.evaluate("(e) => e.outerHTML")
        assert link.get_attribute("rel") == "noopener noreferrer nofollow", shown
        assert link.get_attribute("target") == "_blank", shown
    messages(tab).first.hover()

    found = assert_harmless(tab)
    assert "<script>window.hacked" in messages(tab).first.inner_text()
    assert {link.split(":")[0] for link in found["links"]} <= {"https", "mailto"}
    origin = tab.evaluate("location.origin")
    assert [url for url in requests if not url.startswith(origin)] == []


def test_markup_elsewhere_is_displayed_as_text(
    tab: Page, maria: httpx.Client, server: Server
) -> None:
    evil = "<img src=x onerror=window.hacked=1>"
    conversation = post(
        maria, "/conversations", title=f"T{evil}", agent_id=f"A{evil}", source=f"S{evil}"
    )
    path = f"/conversations/{conversation['id']}"
    tags = [f"tag{evil}", "javascript:window.hacked=2", "a" * 50]
    assert maria.patch(path, json={"tags": tags}).status_code == 200
    post(maria, f"{path}/shares", user_id=f"U{evil}", role="editor")
    file = new_attachment(
        maria, filename=f"F{evil}.pdf", file_url="javascript:window.hacked=3", mime_type="text/html"
    )
    post(
        maria,
        f"{path}/messages",
        role="assistant",
        content="With details",
        attachment_ids=[file["id"]],
        metadata={evil: {evil: [evil]}},
        tool_calls=[{"tool_name": evil, "output": {evil: evil}, "error": evil, evil: evil}],
        routing_decision={
            "selected_tools": [evil],
            "selected_agents": [evil],
            "reasoning": evil,
        },
        parts=[
            {"type": "reasoning", "text": evil},
            {"type": "tool_call", "id": "1", "name": evil, "arguments": {evil: evil}},
            {"type": evil[:50], "data": evil},
        ],
    )
    with server.client(f"U{evil}") as member:
        post(member, f"{path}/messages", role="user", content=evil)

    open_row(tab, f"T{evil}")
    expect(messages(tab)).to_have_count(2)
    while (closed := tab.locator("details:not([open]) > summary")).count():
        closed.first.click()
    expect(tab.get_by_text(f"F{evil}.pdf")).to_be_visible()
    expect(tab.get_by_role("heading", name=f"U{evil}")).to_be_visible()
    assert_harmless(tab)
    for button in ("Share", "Settings", "Search"):
        tab.get_by_role("button", name=button, exact=True).click()
        dialog = tab.get_by_role("dialog")
        expect(dialog).to_be_visible()
        expect(dialog.get_by_text(re.compile("^Loading "))).to_have_count(0)
        if button == "Share":
            expect(dialog.get_by_text(f"U{evil}")).to_be_visible()
        if button == "Search":
            dialog.get_by_role("searchbox").fill("onerror")
            expect(dialog.locator("mark").first).to_be_visible()
        assert_harmless(tab)
        dialog.get_by_role("button", name="Close").first.click()
        expect(dialog).to_have_count(0)
    link = messages(tab).get_by_role("link").filter(has_text="F<img")
    assert link.count() == 0, "javascript: is not an address of a file"


@pytest.mark.parametrize("width", [1280, 360])
def test_odd_text_stays_in_its_place(
    width: int, tab: Page, maria: httpx.Client, subtests: pytest.Subtests
) -> None:
    tab.set_viewport_size({"width": width, "height": 800})
    for kind, text in ODD.items():
        conversation = post(maria, "/conversations", title=text.strip()[:255])
        path = f"/conversations/{conversation['id']}"
        post(maria, f"{path}/messages", role="user", content=text)
        last = post(maria, f"{path}/messages", role="assistant", content=text)
        tagged = maria.patch(path, json={"tags": [text.strip()[:50]]})
        assert tagged.status_code == 200, tagged.text

        with subtests.test(kind):
            tab.evaluate("(id) => { location.hash = `#/${id}` }", conversation["id"])
            expect(tab.locator(f"#message-{last['id']}")).to_be_attached()
            expect(messages(tab)).to_have_count(2)
            assert_harmless(tab)
    # Text that changes its direction must not change that of the page around it.
    for name in tab.locator(".row-title, .thread-title").all():
        shown = name.evaluate("(e) => getComputedStyle(e.querySelector('bdi') ?? e).unicodeBidi")
        assert shown in {"isolate", "plaintext", "isolate-override"}


def test_json_with_special_names_is_displayed(tab: Page, maria: httpx.Client) -> None:
    conversation = post(maria, "/conversations", title="Prototype")
    metadata = json.loads('{"__proto__": {"polluted": 1}, "constructor": 1, "key": null, "": []}')
    path = f"/conversations/{conversation['id']}/messages"
    post(maria, path, role="user", content="x", metadata=metadata)

    open_row(tab, "Prototype")
    expect(messages(tab)).to_have_count(1)

    assert tab.evaluate("({}).polluted ?? null") is None
    expect(rows(tab)).to_have_count(1)


@pytest.mark.parametrize(
    "decision",
    [
        {"routing_decision": {}, "thoughts": "calm"},
        {"thoughts": [], "selected_tools": "calm", "alternatives": 5, "execution_plan": {}},
        {"thoughts": [], "execution_plan": [None, "calm"], "routing_decision": "no"},
    ],
    ids=["thoughts", "names", "plan"],
)
def test_routing_decision_of_unknown_types_is_displayed(
    decision: dict[str, Any], tab: Page, maria: httpx.Client
) -> None:
    conversation = post(maria, "/conversations", title="Routing")
    path = f"/conversations/{conversation['id']}/messages"
    post(maria, path, role="assistant", content="Answer", routing_decision=decision)

    open_row(tab, "Routing")
    messages(tab).locator("summary").click()

    expect(messages(tab).get_by_text("calm").last).to_be_visible()


@pytest.mark.parametrize("name", ["__proto__", "constructor", "..", "a b", "%E2%82%AC"])
def test_address_that_names_no_conversation_opens_none(
    name: str, tab: Page, user: str, maria: httpx.Client
) -> None:
    expect(tab.get_by_title(user)).to_be_visible()

    tab.evaluate("(name) => { location.hash = `#/${name}` }", name)
    tab.reload()

    expect(tab.get_by_role("heading", name="New conversation")).to_be_visible()
    post(maria, "/conversations", title="Arrives live")
    expect(rows(tab)).to_have_text([re.compile("Arrives live")])
