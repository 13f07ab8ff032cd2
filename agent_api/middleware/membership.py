"""Makes the second attempt of a member's request: that of the owner (`db.access` tells why)."""

from dataclasses import replace
from hashlib import sha256

from agent_api.contract.operation import Request
from db.engine import MemberGrant


def as_owner(request: Request, grant: MemberGrant) -> Request:
    """Return the request with the conversation's owner as its principal."""
    assert request.principal is not None
    principal = replace(request.principal, user_id=grant.owner_id, member_id=grant.member_id)
    arguments = dict(request.arguments)
    if "principal" in arguments:
        arguments["principal"] = principal
    key = request.idempotency_key
    if key is not None:
        key = key_of(grant, key)
    return request._replace(principal=principal, arguments=arguments, idempotency_key=key)


def key_of(grant: MemberGrant, key: str) -> str:
    """Return the key under which the responses to a member's requests are stored with the owner's.

    The owner's keys cannot contain spaces, so it is never one of them.
    """
    member, hashed = (sha256(text.encode()).hexdigest() for text in (grant.member_id, key))
    return f"member {grant.conversation_id} {member} {hashed}"
