"""What the app tells the screen in front once a second."""

from __future__ import annotations


class Living:
    """A screen that shows clocks and ages."""

    @property
    def ready(self) -> bool:
        """Whether everything below is mounted: before and after there is nothing to paint on."""
        raise NotImplementedError

    def tick(self) -> None:
        """A second has passed."""
        raise NotImplementedError
