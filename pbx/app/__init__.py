"""The switch: one writer that routes inputs to the pure machines and hands on their outputs, without awaiting."""
