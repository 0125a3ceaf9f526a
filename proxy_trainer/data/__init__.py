"""Pictures and boxes: COCO directories, the rendered set, the decoded cache, splits, batches. No TensorFlow."""
