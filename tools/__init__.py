"""What operators and developers run beside the server: demo, softphone, load generator, benches, simulators."""
