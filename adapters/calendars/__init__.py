"""Calendar files (iCalendar, RFC 5545): when their events are, as instants, in a process with limits of its own."""
