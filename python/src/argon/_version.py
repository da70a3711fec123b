"""The release of this package, which is that of the program `argon`."""

VERSION = "0.1.0"
