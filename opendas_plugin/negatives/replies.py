"""What a language model's server sends back: the names in a reply, and errors that come as if they were one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from opendas_plugin.names import spell_name

_CLASS = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "related": {"type": "array", "items": {"type": "string"}}},
    "required": ["name", "related"],
    "additionalProperties": False,
}
_ANSWER = {
    "type": "object",
    "properties": {"classes": {"type": "array", "items": _CLASS}},
    "required": ["classes"],
    "additionalProperties": False,
}
AS_SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "Answer", "strict": True, "schema": _ANSWER},
}
"""The form of an answer, as a request asks for it."""
AS_JSON = {"type": "json_object"}
"""The same for servers that know no schema."""

_NUMBERED = re.compile(r"^\s*(?:\d+[.):]|[-*])\s+")
_START = re.compile(r"[\[{]")
_TRIES = 1000  # brackets in a reply that are looked at
_BUSY = re.compile(r"rate|quota|too many|overload|busy|capacity|limit", re.IGNORECASE)


def related_names(content: str | None) -> dict[str, list[str]]:
    """Reads a reply: the related names by the spelling of the class name; none where it holds no answer.

    The answer is ``{"classes": [{"name", "related"}]}``, the list alone, a class a line, or ``{name: related}``. A
    fence around it, what the model thought or said before or after it, and numbers before the class names do not
    matter; of two answers for a class the last counts.
    """
    numbered: dict[str, list[str]] = {}
    named: dict[str, list[str]] = {}
    for value in _json_values(content or ""):
        for name, related in _classes(value):
            numbered[spell_name(_NUMBERED.sub("", name))] = named[spell_name(name)] = related
    return {**numbered, **named}


def status_of(body: Any) -> int | None:
    """The HTTP status that a body says it is although it came with 200; None: it is a completion.

    Args:
        body: the parsed JSON, or None where it was none.
    """
    choices = body.get("choices") if isinstance(body, dict) else None
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    error = (first or {}).get("error") or (body.get("error") if isinstance(body, dict) else None)
    if error is None:
        return 502 if first is None else None
    codes = [error.get(key) for key in ("code", "status", "status_code")] if isinstance(error, dict) else []
    numbers = [int(str(code)) for code in codes if re.fullmatch("[0-9]{3}", str(code))]
    if numbers and 400 <= numbers[0] < 600:
        return numbers[0]
    return 429 if _BUSY.search(json.dumps(error)) else 500


def restate(response: Any) -> None:
    """Gives an httpx response with status 200 the status that its body speaks of, so that the client acts on it."""
    if response.status_code != 200:
        return
    response.read()
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    response.status_code = status_of(body) or response.status_code


def _json_values(content: str) -> Iterator[Any]:
    """Every JSON object or list in a text that does not lie in another one."""
    decoder, place = json.JSONDecoder(), 0
    for _ in range(_TRIES):
        starts = _START.search(content, place)
        if starts is None:
            return
        try:
            value, place = decoder.raw_decode(content, starts.start())
        except (ValueError, RecursionError):
            place = starts.end()
            continue
        yield value


def _classes(value: Any) -> Iterator[tuple[str, list[str]]]:
    """Each class and its related names in a JSON value that may be an answer."""
    if isinstance(value, dict) and isinstance(value.get("classes"), list):
        value = value["classes"]
    if isinstance(value, dict) and "related" not in value:
        entries = list(value.items())
    else:
        listed = value if isinstance(value, list) else [value]
        entries = [(item.get("name"), item.get("related")) for item in listed if isinstance(item, dict)]
    for name, related in entries:
        names = related if isinstance(related, list) else []
        if isinstance(name, str) and names and all(isinstance(other, str) for other in names):
            yield name, names
