"""The node daemon (LRM) in haven policy: facts to memory, memory and records to orders (spec chapter 5)."""
