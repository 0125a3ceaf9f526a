"""Pictures and boxes: COCO directories, the rendered set, decoded cache, splits, batches. No TensorFlow."""
