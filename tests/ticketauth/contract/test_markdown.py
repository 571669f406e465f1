"""Descriptions become HTML, and nothing in them does that is not Markdown of ours."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketauth.contract.markdown import inline, render


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "plain"),
        ("**bold** and *soft*", "<strong>bold</strong> and <em>soft</em>"),
        ("`a < b`", "<code>a &lt; b</code>"),
        ("`` a ` b ``", "<code>a ` b</code>"),
        ("`**not bold**`", "<code>**not bold**</code>"),
        ("**with `code`**", "<strong>with <code>code</code></strong>"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("a_snake_case_name", "a_snake_case_name"),
        (r"\*literal\*", "*literal*"),
        ("[text](https://example.com/?a=1&b=2)", '<a href="https://example.com/?a=1&amp;b=2">text</a>'),
        ("[*soft*](#there)", '<a href="#there"><em>soft</em></a>'),
        ("<https://example.com>", '<a href="https://example.com">https://example.com</a>'),
        ("[mail](mailto:a@example.com)", '<a href="mailto:a@example.com">mail</a>'),
    ],
)
def test_within_a_line(text: str, html: str) -> None:
    assert inline(text) == html


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert)",
        "[x](JaVaScRiPt:alert)",
        "[x](data:text/html,hi)",
        "[x](vbscript:x)",
        "[x](http://[broken)",
        "<javascript:alert>",
    ],
)
def test_a_link_to_anything_else_is_text(text: str) -> None:
    assert "<a" not in render(text)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("one\ntwo\n\nthree", "<p>one\ntwo</p>\n<p>three</p>"),
        ("# Head\ntext", "<h3>Head</h3>\n<p>text</p>"),
        ("## Lower", "<h4>Lower</h4>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("4. a\n5. b", '<ol start="4"><li>a</li><li>b</li></ol>'),
        ("- a\n  more\n- b", "<ul><li>a\nmore</li><li>b</li></ul>"),
        ("- a\n\n  - b", "<ul><li><p>a</p>\n<ul><li>b</li></ul></li></ul>"),
        ("- a\n1. b", "<ul><li>a</li></ul>\n<ol><li>b</li></ol>"),
        ("text:\n\n    code\n\nmore", "<p>text:</p>\n<pre><code>code</code></pre>\n<p>more</p>"),
        ("```python\nif a < b:\n    pass\n```\nend", "<pre><code>if a &lt; b:\n    pass</code></pre>\n<p>end</p>"),
        ("```\nnever closed", "<pre><code>never closed</code></pre>"),
        ("| not a table", "<p>| not a table</p>"),
        ("", ""),
    ],
)
def test_blocks(text: str, html: str) -> None:
    assert render(text) == html


def test_a_table() -> None:
    html = render("| a | b |\n|---|:-:|\n| 1 | `x \\| y` |\n| 2 | **z** |\nafter")
    assert '<thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>' in html
    assert "<tr><td>1</td><td><code>x | y</code></td></tr>" in html
    assert "<td><strong>z</strong></td>" in html
    assert html.endswith("<p>after</p>")


class Tags(HTMLParser):
    """All tags and attributes of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(f"{tag}.{name}" for name, _ in attrs)}
        self.links += [value or "" for name, value in attrs if name == "href"]


_KNOWN = {
    *("p", "h3", "h4", "h5", "h6", "ul", "ol", "ol.start", "li", "pre", "code", "strong", "em", "a", "a.href"),
    *("div", "div.class", "table", "thead", "tbody", "tr", "th", "th.scope", "td"),
}
_PIECES = st.sampled_from(
    (
        "<script>",
        "<img src=x onerror=y>",
        '"',
        "'",
        "&lt;",
        "**",
        "*",
        "`",
        "[a](",
        "javascript:x",
        "https://x",
        ")",
        "\n",
        "\n\n",
        "- ",
        "1. ",
        "| a | b |\n|---|---|\n",
        "```",
        "    ",
        "# ",
        "\\",
        "<https://x>",
        "word",
        " ",
    )
)


@settings(deadline=None)
@given(st.lists(_PIECES, max_size=24).map("".join))
def test_no_text_makes_another_tag_or_a_link_that_runs(text: str) -> None:
    tags = Tags()
    tags.feed(render(text))
    assert tags.seen <= _KNOWN
    assert not [link for link in tags.links if link.lower().startswith("javascript:")]
