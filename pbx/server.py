"""The composition root: builds the adapters, passes them to the application, runs it. The one module that knows all."""
