"""Answers of the api `hoot`: GET / says hello to the world, POST /greet to whoever the body names."""

import base64
import json


def handler(event, _context):
    if event.get("httpMethod") == "GET":
        return answer("world")
    return answer(name_in(event) or "stranger")


def name_in(event):
    """The name in the body; None without one, and for whatever is not JSON of that form."""
    body = event.get("body")
    if not isinstance(body, str):
        return None
    try:
        content = json.loads(base64.b64decode(body) if event.get("isBase64Encoded") else body)
    except ValueError:
        return None
    name = content.get("name") if isinstance(content, dict) else None
    return name if isinstance(name, str) else None


def answer(name):
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps({"hello": name})}
