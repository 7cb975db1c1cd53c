"""What the benchmarks and the crash tests share: a load client, running processes, and the look at what was stored."""
