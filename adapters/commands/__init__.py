"""Commands of an estate's own: started without a shell, bounded in time and output, ended with all they started."""
