"""The handlers: one module per resource, one plain function per operation.

A handler is named after its operationId. Its arguments are the principal and the parameters and
body of the contract, already validated. Its last line names the status.
"""
