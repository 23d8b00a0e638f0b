"""Pieces that many schemas are made of."""

STRING = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
BOOLEAN = {"type": "boolean"}
NULL = {"type": "null"}


def closed(properties: dict, required: list[str] | None = None, **more) -> dict:
    """An object of these properties only; all are required unless told otherwise."""
    needed = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False, **more}


def listed(items: dict, **more) -> dict:
    return {"type": "array", "items": items, **more}


def text(**more) -> dict:
    return {"type": "string", **more}
