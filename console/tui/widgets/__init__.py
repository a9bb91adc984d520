"""The project's own widgets: one table, charts, panels and a time bar."""
