"""Markdown that strangers wrote, as HTML that is safe to show.

HTML inside the text is shown as text. What comes out is cleaned once more, by a list of what is allowed, so that a
mistake in one of the two steps opens nothing.
"""

import html

import nh3
from markdown_it import MarkdownIt

# goes up with every change of what comes out: texts rendered by an older one are rendered again
VERSION = 1
# longer texts are shown as they are: rendering takes a second for 100 kB
LONGEST = 100_000

TAGS = {
    *("a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol", "p"),
    *("pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
ATTRIBUTES = {
    "a": {"href", "title"},
    "code": {"class"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "td": {"align"},
    "th": {"align"},
}

# deeper lists and quotes than this are shown as text
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20}).enable(
    ["table", "strikethrough"]
)


def render_markdown(text: str) -> str:
    """The HTML of a comment. Never raises, whatever the text is."""
    if len(text) > LONGEST:
        return f"<pre>{html.escape(text)}</pre>"
    return nh3.clean(
        _MARKDOWN.render(text),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer",
        strip_comments=True,
    )
