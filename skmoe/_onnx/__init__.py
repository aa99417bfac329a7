"""Parts of the graphs that ``skmoe.onnx`` writes."""
