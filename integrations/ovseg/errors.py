"""The one error of this package, which also runs where ``opendas_plugin.errors`` is not installed."""


class OVSegError(ValueError):
    """A setting, an adapter or an environment that OVSeg cannot run with, in one sentence that says what to do."""
