"""What the method asks of its frozen models; adapters live in dino, clip and inpainter.

Importing this loads no model library.
"""

from lr_edit.frozen.protocols import AnchorModel, ClipModel, Inpainter

__all__ = ["AnchorModel", "ClipModel", "Inpainter"]
