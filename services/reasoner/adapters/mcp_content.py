"""
What the result of an MCP tool says: its structured content, else the texts among its parts.
"""

from collections.abc import Iterator
from typing import Final

from mcp import types

from services.reasoner.domain.tools.results import Came, failed, of_text, of_value

WRAPPED: Final = frozenset({"result"})
"""Servers put a result that is no object under this key, as structured content must be one."""


def content_of(result: types.CallToolResult, bytes_max: int, *, text_speaks: bool) -> Came:
    """What *result* comes to, its texts within *bytes_max*; *text_speaks*: see `of_text`."""
    structured = result.structured_content
    if isinstance(structured, dict) and structured.keys() == WRAPPED:
        structured = structured["result"]
    if isinstance(structured, str):
        return of_text(structured, speaks=text_speaks)
    if structured is not None:
        return of_value(structured)
    text = "\n".join(_texts(result))
    if len(text.encode("utf-8", "replace")) > bytes_max:
        return failed(f"the answer exceeds {bytes_max} bytes")
    return of_text(text, speaks=text_speaks) if text else of_value(None)


def _texts(result: types.CallToolResult) -> Iterator[str]:
    """The texts of *result*'s parts; what is none is named, so that nobody takes it for nothing."""
    for part in result.content:
        match part:
            case types.TextContent():
                yield part.text
            case types.EmbeddedResource(resource=types.TextResourceContents() as held):
                yield held.text
            case types.EmbeddedResource(resource=held):
                yield f"{held.uri} ({held.mime_type or 'of unknown type'}), not shown"
            case types.ResourceLink():
                yield ", ".join(filter(None, (part.title or part.name, part.description, str(part.uri))))
            case types.ImageContent() | types.AudioContent():
                yield f"{part.type} ({part.mime_type}), not shown"
