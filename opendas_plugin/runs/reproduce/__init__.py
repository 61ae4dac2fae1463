"""The paper's tables on real CLIPs and data, one file a step; see :class:`~.run.Reproduce` and docs/reproduce.md."""
