"""Door to opendas_plugin.commands.demo; see --help."""

from opendas_plugin.commands.demo import main

if __name__ == "__main__":
    raise SystemExit(main())
