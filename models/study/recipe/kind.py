"""What make.py asks of a family, whether its weights are seeded or published."""


class Kind:
    """A family under construction.

    Every kind has a `name`; `top`, `quality` and `origins` for the manifest's head, as TOML values; and of each of its
    sizes a `dataset` (a `manifest.Dataset`), a `model` of batch 1, inputs for its `calibration` (lists with one array an
    input, batch 1), and stored samples for its `golden` vectors (the same, flat). Where little is said, this is it:
    """

    # What is measured of each file, and what float outputs may differ from the golden ones.
    metrics = ()
    tolerance = {"absolute": 1e-4, "relative": 1e-3}
    # Options of make.py that decide a result, as the manifest's command repeats them.
    options = ""

    def attachments(self):
        """Further files: role to name and bytes."""
        return {}

    def remarks(self, size):
        """Comments beside a variant in the manifest, once its `model` is there."""
        return []
