"""What opens over a screen: the consequence card, forms, help, go to, filter, the presenter's view."""
