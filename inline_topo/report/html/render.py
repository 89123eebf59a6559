"""A page as one HTML file: no script, no network, nothing from a capture that is not escaped."""

import base64
import contextlib
import hashlib
import os
import secrets
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from inline_topo.errors import InlineTopoError
from inline_topo.report.html.page import Page


def render(page: Page) -> str:
    """The page as text. Its policy lets a browser load nothing but the style sheet that stands in
    the page itself, told by its hash."""
    environment = Environment(
        loader=PackageLoader("inline_topo.report.html"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    style = (files("inline_topo.report.html") / "templates" / "page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = environment.get_template("page.html")
    return template.render(page=page, style=Markup(style), digest=digest)


def write(page: Page, path: str) -> None:
    """Write the page under `path`, whole or not at all. InlineTopoError where that fails."""
    text = render(page)
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe, a device; not a folder
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        else:
            _replace(os.path.realpath(path), text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InlineTopoError(f"{path}: {reason.lower()}") from None


def _replace(target: str, text: str) -> None:
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied")
    name = f".inline-topo-{secrets.token_hex(8)}.part"
    temporary = os.path.join(os.path.dirname(target), name)
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
