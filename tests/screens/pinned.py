"""What the pictures of the screens were drawn with."""

import sys
from importlib.metadata import version

DRAWN_WITH = ((3, 11), "8.2.8")
HERE = (sys.version_info[:2], version("textual"))
