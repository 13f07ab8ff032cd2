"""Reads which credentials an operation needs: a bearer token, and perhaps a lease."""

from enum import Enum

from connexion.operations import AbstractOperation

from agent_api.contract.spec import ContractError

LEASE_HEADER = "Run-Lease"


class LeaseUse(Enum):
    """Whether requests to an operation may have a lease, in addition to the token."""

    REFUSED = 0
    ACCEPTED = 1
    REQUIRED = 2


def read_security(source: AbstractOperation) -> tuple[bool, LeaseUse]:
    """Return whether callers need a bearer token, and how they use leases.

    Raises ContractError for other schemes.
    """
    kinds = {"http": "scheme", "apiKey": "name"}
    options = frozenset(
        frozenset(
            source.security_schemes[name][kinds[source.security_schemes[name]["type"]]]
            for name in option
        )
        for option in source.security or []
    )
    token, leased = frozenset({"bearer"}), frozenset({"bearer", LEASE_HEADER})
    uses = {
        frozenset(): (False, LeaseUse.REFUSED),
        frozenset({token}): (True, LeaseUse.REFUSED),
        frozenset({token, leased}): (True, LeaseUse.ACCEPTED),
        frozenset({leased}): (True, LeaseUse.REQUIRED),
    }
    if options not in uses:
        raise ContractError(
            f"{source.operation_id}: security must be empty, or one bearer scheme,"
            f" with or without {LEASE_HEADER}"
        )
    return uses[options]
