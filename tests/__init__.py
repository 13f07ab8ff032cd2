"""The tests: black box over HTTP, unless a folder's name says otherwise."""
