"""OpenDAS adapters in OpenMask3D (OpenMask3D/openmask3d), without a change to its checkout.

On the command line: ``python -m integrations.openmask3d SCRIPT external.clip_model=opendas:ADAPTER ...``. In Python,
and without OpenMask3D: :mod:`integrations.openmask3d.features`.
"""
