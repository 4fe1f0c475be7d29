"""The configuration: typed models of `config/*.yaml`; each error has file, line and column, and all come at once."""
