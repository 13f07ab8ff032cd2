"""Sends files that everybody may read, compressed, and only if the client does not have them."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass, field
from functools import cached_property

import flask

MIN_GZIP_BYTES = 1000
"""Smaller files fit into one packet anyway."""
# A page may contain a token, so isolate it from other windows.
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin"}
_TYPES = {".js": "text/javascript", ".LICENSE": "text/plain"}
"""mimetypes reads the machine's own tables, which may have other names."""


@dataclass(frozen=True)
class File:
    """A content, its media type, and the headers that responses with it have."""

    content: bytes
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)

    @cached_property
    def tag(self) -> str:
        """An ETag, without quotes. It is the same on all servers."""
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
