"""What each side of a fork has that the other lacks, read from the WAL of both servers."""
