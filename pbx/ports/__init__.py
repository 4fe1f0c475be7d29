"""What the application needs from the world, as narrow `typing.Protocol` interfaces named by need."""
