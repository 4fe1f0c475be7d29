"""The IVR as a pure machine: schema, loader, lint, expressions and interpreter of flows written in YAML."""
