"""Sends public files: compressed with gzip, or a 304 if the client has the current version."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass, field
from functools import cached_property

import flask

MIN_GZIP_BYTES = 500
"""Smaller files gain little, and fit into one packet anyway."""
# A page may contain a token, so isolate it from other windows.
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin"}
_TYPES = {".js": "text/javascript", ".LICENSE": "text/plain"}
"""The module mimetypes also reads tables of the machine, which may name other types."""


@dataclass(frozen=True)
class File:
    """The content of a file, its media type, and more headers of its responses."""

    content: bytes
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)

    @cached_property
    def tag(self) -> str:
        """The ETag without quotes. It depends only on the content, so all servers send the same."""
        return hashlib.sha256(self.content).hexdigest()[:20]

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.content, mtime=0)

    def response(self) -> flask.Response:
        """Return the content, or a 304 if If-None-Match contains its ETag.

        Flask's own conditional responses also support ranges, with errors that are not problems.
        """
        is_compressed = (
            len(self.content) >= MIN_GZIP_BYTES and flask.request.accept_encodings["gzip"] > 0
        )
        tag = f"{self.tag}-gzip" if is_compressed else self.tag  # RFC 9110, section 8.8.3.3
        headers = self.headers | {"ETag": f'"{tag}"', "Vary": "Accept-Encoding"}
        if flask.request.if_none_match.contains_weak(tag):
            return flask.Response(status=304, headers=headers)
        content = self.compressed if is_compressed else self.content
        response = flask.Response(content, mimetype=self.media_type, headers=headers)
        if is_compressed:
            response.headers["Content-Encoding"] = "gzip"
        return response


def media_type(name: str) -> str:
    """Return the media type of a file that has this name."""
    _, dot, ending = name.rpartition(".")
    known = _TYPES.get(dot + ending) or mimetypes.guess_type(name)[0]
    return known or "application/octet-stream"
