"""The operations of the contract: one module a resource, one plain function an operation.

A function is named as its operationId and takes what the contract gives, by name; the frame has
validated all of it. Its last line names the status.
"""
