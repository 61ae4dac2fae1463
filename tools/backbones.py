"""Door to opendas_plugin.commands.backbones; see --help."""

from opendas_plugin.commands.backbones import main

if __name__ == "__main__":
    raise SystemExit(main())
