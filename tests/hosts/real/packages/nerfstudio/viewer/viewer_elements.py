class ViewerText:
    """A field of the viewer's page; nobody types."""

    def __init__(self, name, default_value, cb_hook=None):
        self.value = default_value
