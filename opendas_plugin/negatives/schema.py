"""What a language model has to answer, as a schema; imported only where one is asked, for pydantic is optional."""

from __future__ import annotations

from pydantic import BaseModel


class ClassAnswer(BaseModel):
    """One class and the names that it could be confused with."""

    name: str
    related: list[str]


class Answer(BaseModel):
    """The answer to one request."""

    classes: list[ClassAnswer]
