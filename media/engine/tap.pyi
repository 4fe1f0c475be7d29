"""A leg's decoded audio for the control side: for the engine alone."""
