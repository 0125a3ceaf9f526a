"""Data: COCO directories, the rendered embedded set, caches, splits and augmentation."""
