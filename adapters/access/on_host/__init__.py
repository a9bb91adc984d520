"""What `recovery host prepare` puts on a host: one program, with the standard library alone, that runs as root there.

It gives accounts that end, closes them, ends what runs under them and tells what it finds. Everything it answers is one
JSON object; what it refuses is `{"refused": ...}` and the exit code 1. Python 3.9 or newer.
"""
