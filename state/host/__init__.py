"""What console and adapters must decide alike about the host they run on: whose a path is, and which a process."""
