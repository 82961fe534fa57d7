"""What the site takes from the package itself, so that no page repeats it: commands, the model card, files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
CARD = "src/calm/models/calm-small/MODEL_CARD.md"
PAGES = {CARD: "model-card.md", "README.md": "index.md"}
"""Files outside of this folder that stand as pages, and where."""
HELP = "<!-- help of every command -->"
WIDTH = 78
"""Columns of the commands' help."""
LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([\w.]+)`")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the model card as a page, and every file of the repository that a page links to as a file."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGES[CARD], content=(ROOT / CARD).read_text(encoding="utf-8")))
    named = {target for file in files.documentation_pages() for target in _outside(file.src_uri, file.content_string)}
    for target in sorted(named - PAGES.keys()):
        files.append(File.generated(config, _copied(target), abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in the commands' help, and turn links that leave the documentation to what stands for their target here."""
    up = "../" * page.file.src_uri.count("/")

    def turned(link: re.Match[str]) -> str:
        target = _target(page.file.src_uri, link[1])
        return link[0] if target is None else f"]({up}{PAGES.get(target) or _copied(target)}{link[2] or ''})"

    markdown = LINK.sub(turned, markdown)
    return markdown.replace(HELP, help_of_commands()) if HELP in markdown else markdown


class Roles(griffe.Extension):
    """Roles in docstrings (:class:`name`) become code, and links where the object stands in the reference."""

    def on_object(self, *, obj: griffe.Object, **_rest: Any) -> None:
        if obj.docstring is not None:
            link = r'<autoref identifier="\1" optional><code>\1</code></autoref>'
            obj.docstring.value = ROLE.sub(link, obj.docstring.value)


def commands() -> Iterator[tuple[str, str]]:
    """Every command with its ``--help``, in the order of ``calm --help``."""
    import typer

    from calm.cli.app import app

    def walk(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - typer's own classes
        context = typer.Context(
            command, info_name=name, parent=parent, terminal_width=WIDTH, **command.context_settings
        )
        yield context.command_path, command.get_help(context)
        for below, child in getattr(command, "commands", {}).items():
            yield from walk(child, below, context)

    yield from walk(typer.main.get_command(app), "calm", None)


def help_of_commands() -> str:
    """A heading and the help of every command, as Markdown."""
    return "\n\n".join(f"## {name}\n\n```text\n{text.strip()}\n```" for name, text in commands())


def _outside(page: str, markdown: str) -> set[str]:
    targets = (_target(page, link[1]) for link in LINK.finditer(markdown))
    return {target for target in targets if target is not None}


def _target(page: str, link: str) -> str | None:
    """The repository's file that a page's link names, where it lies outside of the documentation; else None."""
    source = ROOT / CARD if page == PAGES[CARD] else ROOT / "docs" / page
    path = (source.parent / link).resolve()
    inside = path.is_relative_to(ROOT / "docs") or not path.is_relative_to(ROOT)
    return None if inside or not path.is_file() else path.relative_to(ROOT).as_posix()


def _copied(target: str) -> str:
    """Where a copy of a file stands in the site; as text, so that a browser shows it."""
    return f"files/{target}.txt" if target.endswith((".md", ".py", ".yaml", ".toml")) else f"files/{target}"
