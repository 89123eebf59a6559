"""An HTML page as its elements and text, read by the standard library's parser."""

from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "br"})  # elements without an end tag


class Reading(HTMLParser):
    """What stands in a page: `elements` in order as (tag, attributes), `text` of all, `of` the texts
    by tag. A tag that closes what is not open is an AssertionError."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.of: dict[str, list[str]] = {}
        self._open: list[tuple[str, int]] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append((tag, len(self.text)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        opened, start = self._open.pop()
        assert opened == tag, self.getpos()
        self.of.setdefault(tag, []).append(self.text[start:].strip())

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """The attributes of the elements of this name that have these (`class_` for class)."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [
            found
            for name, found in self.elements
            if name == tag and wanted.items() <= found.items()
        ]
