"""The links inside a built site, followed. Asks nothing of the network: links to other hosts must only be well formed.

What a page itself needs may not come from another host: a site is read where there is no network too.
`python -m tests.api.site site` prints each link that leads nowhere, and ends with 1 if there is one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Seen(HTMLParser):
    """What a page links to, and what may be linked to in it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.needs: list[str] = []
        self.anchors: set[str] = {""}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name in {"href", "src"}:
                self.links.append(value)
                rel = dict(attrs).get("rel")
                if name == "src" or (tag == "link" and rel in {"stylesheet", "icon", "preload", "modulepreload"}):
                    self.needs.append(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)


@cache
def page(path: Path) -> Seen:
    """A page, read once."""
    seen = Seen()
    seen.feed(path.read_text(encoding="utf-8"))
    return seen


def dead_links(site: Path) -> Iterator[str]:
    """`page: link` for every link in the site that leads to no file or to no place in it."""
    site = site.resolve()
    for path in sorted(site.rglob("*.html")):
        if path.name == "404.html":  # written for the root of a host
            continue
        for link in page(path).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if not _is_well_formed(link) or link in page(path).needs:
                    yield f"{path.relative_to(site).as_posix()}: {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            found = target.is_file() and target.is_relative_to(site)
            if not found or (target.suffix == ".html" and unquote(parts.fragment) not in page(target).anchors):
                yield f"{path.relative_to(site).as_posix()}: {link}"


def _is_well_formed(link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme in {"mailto", "data"}:
        return bool(parts.path)
    return parts.scheme in {"https", "http"} and "." in parts.netloc and not re.search(r"[\s<>\"']", link)


if __name__ == "__main__":
    dead = list(dict.fromkeys(dead_links(Path(sys.argv[1]))))
    sys.stdout.write("".join(f"dead link in {line}\n" for line in dead))
    sys.exit(bool(dead))
