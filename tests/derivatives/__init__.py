"""Measures the second derivatives of all layers of Keras in TensorFlow."""
