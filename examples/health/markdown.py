"""Markdown: its anchors and its relative links. Whether a link leads anywhere is for the whole tree to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from examples.health.models import Details, Link, MarkdownText

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_UNDERLINE = re.compile(r"^\s{0,3}(=+|-{2,})\s*$")
_ANCHOR = re.compile(r"<[a-zA-Z][^>]*\s(?:id|name)\s*=\s*[\"']([^\"']+)[\"']")
_ATTRIBUTE = re.compile(r"\s*\{[^}]*#([\w.:-]+)[^}]*\}\s*$")
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_INLINE = re.compile(r"\]\(\s*(?:<([^>]*)>|([^\s()]*(?:\([^\s()]*\)[^\s()]*)*))(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)")
_REFERENCE = re.compile(r"^\s{0,3}\[(?!\^)[^\]]+\]:\s*<?([^\s>]+)>?")


def check_markdown(source: MarkdownText) -> Details:
    """The anchors and links of a document; code in it is not looked at."""
    prose = list(_prose(source.text))
    anchors = tuple(_anchors(prose))
    links = tuple(link for line, text in prose for link in _links(line, text))
    return Details(kind="markdown", anchors=anchors, links=links)


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """The numbered lines outside fenced code, front matter and HTML comments."""
    fence, comment = "", False
    lines = text.split("\n")
    matter = lines[0].strip() == "---" and "---" in (line.strip() for line in lines[1:])
    for number, line in enumerate(lines, 1):
        if matter:
            matter = number == 1 or line.strip() != "---"
            continue
        found = _FENCE.match(line)
        if found is not None and not comment and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else found[1]
            continue
        if fence:
            continue
        comment = comment or ("<!--" in line and "-->" not in line)
        if not comment:
            yield number, line
        comment = comment and "-->" not in line


def _anchors(prose: list[tuple[int, str]]) -> Iterator[str]:
    """The fragments that a renderer makes of the headings, numbered when repeated, and those written in HTML."""
    seen: dict[str, int] = {}
    before = ""
    for _, line in prose:
        yield from _ANCHOR.findall(line)
        heading = _HEADING.match(line)
        title = heading[1] if heading else before if _UNDERLINE.match(line) and before.strip() else None
        before = line
        if title is None:
            continue
        given = _ATTRIBUTE.search(title)
        if given is not None:
            yield given[1]
            title = title[: given.start()]
        slug = slug_of(title)
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        yield f"{slug}-{count}" if count else slug


def slug_of(title: str) -> str:
    """The fragment of a heading, as GitHub makes it: lower case, no punctuation, '-' for spaces."""
    shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", title)
    shown = re.sub(r"<[^>]+>|[*`]", "", shown)
    return re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")


def _links(line: int, text: str) -> Iterator[Link]:
    text = _CODE.sub("", text)
    targets = [angled or bare for angled, bare in _INLINE.findall(text)] + _REFERENCE.findall(text)
    for target in targets:
        try:
            parts = urlsplit(target)
        except ValueError:
            continue
        if parts.scheme or parts.netloc or target.startswith("/") or not target or "{" in target:
            continue
        yield Link(line=line, path=unquote(parts.path), fragment=unquote(parts.fragment))
