"""The configuration: typed models of `config/*.yaml`, loaded with file, line and column for every error, all at once."""
