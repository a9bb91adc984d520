"""Programs that give one short answer: bounded in time, memory and output, and gone with all they started."""
