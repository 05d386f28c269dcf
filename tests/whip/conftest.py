"""The same devices as in the stories of the browsers."""

from tests.e2e.conftest import devices

__all__ = ["devices"]
