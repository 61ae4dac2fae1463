"""Door to opendas_plugin.commands.train_prompts; see --help."""

from opendas_plugin.commands.train_prompts import main

if __name__ == "__main__":
    raise SystemExit(main())
